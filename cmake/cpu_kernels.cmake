# Files named *_avx2.cpp and *_avx512.cpp are compiled for that instruction set and reached only
# through the kernel table after the CPU was asked; everything else stays baseline.
function(pare_cpu_kernels target)
  get_target_property(sources ${target} SOURCES)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(FILTER sources INCLUDE REGEX "_(avx2|avx512)\\.cpp$")
    set_source_files_properties(${sources} PROPERTIES HEADER_FILE_ONLY ON)
    return()
  endif()
  set(avx2 ${sources})
  list(FILTER avx2 INCLUDE REGEX "_avx2\\.cpp$")
  set_source_files_properties(${avx2} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c")
  set(avx512 ${sources})
  list(FILTER avx512 INCLUDE REGEX "_avx512\\.cpp$")
  set_source_files_properties(${avx512} PROPERTIES COMPILE_OPTIONS
    "-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512vnni;-mprefer-vector-width=512")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # False alarms inside the compiler's own avx512fintrin.h, GCC PR 105593.
    set_property(SOURCE ${avx512} APPEND PROPERTY COMPILE_OPTIONS -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
endfunction()
