# SPDX-License-Identifier: AGPL-3.0-only
# Read by cpack for each kind of package: which components it has (package.cmake).
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_COMPONENTS_ALL common deb)
elseif(CPACK_GENERATOR STREQUAL "RPM")
  set(CPACK_COMPONENTS_ALL common rpm)
endif()
