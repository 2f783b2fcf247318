# Installs library, headers and a package for find_package(pare); the prefix may be moved afterwards.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
install(TARGETS pare plugin EXPORT pareTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/pare)
foreach(room IN LISTS rooms)
  install(DIRECTORY ${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/pare FILES_MATCHING PATTERN "*.h")
endforeach()
if(TARGET pare_tool)
  install(TARGETS pare_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pare)
install(EXPORT pareTargets NAMESPACE pare:: DESTINATION ${package_dir})
configure_package_config_file(cmake/pareConfig.cmake.in ${CMAKE_BINARY_DIR}/pareConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/pareConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/pareConfig.cmake ${CMAKE_BINARY_DIR}/pareConfigVersion.cmake
  DESTINATION ${package_dir})
