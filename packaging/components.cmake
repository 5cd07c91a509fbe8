# SPDX-License-Identifier: AGPL-3.0-only
# cpack reads this for each package format: the components it contains (see package.cmake).
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_COMPONENTS_ALL common deb)
elseif(CPACK_GENERATOR STREQUAL "RPM")
  set(CPACK_COMPONENTS_ALL common rpm)
endif()
