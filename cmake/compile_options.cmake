# The flags of every target. Contraction is off: a multiply and an add stay two roundings unless the
# code says fma, so that the same source gives the same bits on every instruction set and compiler.
function(pare_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set(flags -Wall -Wextra -Wshadow -ffp-contract=off -fno-math-errno
    -fno-semantic-interposition)  # calls within the library stay direct, though plug-ins see its symbols
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    list(APPEND flags -Wno-restrict)  # false alarms on std::string, GCC PR 105651
  endif()
  if(PARE_WERROR)
    list(APPEND flags -Werror)
  endif()
  # The same for the host's part of CUDA files; nvcc's own flags for the device's.
  list(JOIN flags "," host_flags)
  set(cuda_flags "-Xcompiler=${host_flags}" $<$<BOOL:${PARE_WERROR}>:-Werror=all-warnings>)
  if(PARE_SANITIZE)
    list(APPEND flags -fsanitize=${PARE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${PARE_SANITIZE})
  endif()
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${flags}> $<$<COMPILE_LANGUAGE:CUDA>:${cuda_flags}>)
endfunction()
