# The flags of every target. Contraction is off: a multiply and an add stay two roundings unless the
# code says fma, so that the same source gives the same bits on every instruction set and compiler.
function(pare_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -ffp-contract=off -fno-math-errno
    -fno-semantic-interposition)  # calls within the library stay direct, though plug-ins see its symbols
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)  # false alarms on std::string, GCC PR 105651
  endif()
  if(PARE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(PARE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${PARE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${PARE_SANITIZE})
  endif()
endfunction()
