# SPDX-License-Identifier: AGPL-3.0-only
# The contents and metadata of the packages; included with -DPACKAGE=ON. There are three components:
# `common` is in both packages, `deb` and `rpm` each in one of them. Paths are relative to the root
# folder. deb/ and rpm/ have the maintainer scripts; scripts/package makes the packages.
set(home opt/zextras)
set(here ${CMAKE_CURRENT_LIST_DIR})
set(made ${CMAKE_BINARY_DIR}/packaging)
file(MAKE_DIRECTORY ${made})
set(package_changelogs ${made}/changelog ${made}/changelog.rpm)
find_program(GZIP gzip REQUIRED)
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME common)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
                                                GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# Programs, in the places where Carbonio expects them.
install(TARGETS cbpolicyd DESTINATION ${home}/common/bin)
install(FILES $<TARGET_FILE_DIR:cbpolicyd>/cbpadmin DESTINATION ${home}/common/bin)
install(TARGETS carbonio-limits DESTINATION ${home}/bin)
install(PROGRAMS ${here}/carbonio-limits-setup DESTINATION ${home}/libexec)
# On RHEL carbonio-core owns these names, and rpm has no diversions.
install(PROGRAMS ${CMAKE_SOURCE_DIR}/scripts/zmcbpolicydctl ${CMAKE_SOURCE_DIR}/scripts/zmcbpadmin
        DESTINATION ${home}/bin COMPONENT deb)
install(PROGRAMS ${CMAKE_SOURCE_DIR}/scripts/zmcbpolicydinit DESTINATION ${home}/libexec
        COMPONENT deb)

# Configuration.
install(FILES ${here}/conf/carbonio-limits.conf DESTINATION ${home}/conf)
install(FILES ${here}/tmpfiles.d/carbonio-limits.conf DESTINATION usr/lib/tmpfiles.d)
install(FILES ${here}/sysusers.d/carbonio-limits.conf DESTINATION usr/lib/sysusers.d)
install(FILES ${here}/cron.d/carbonio-limits DESTINATION etc/cron.d)

# Units. The package carbonio-policyd owns carbonio-policyd.service: we add a drop-in on Debian and
# replace the unit on RHEL. A vendor link starts it at boot, subject to a condition in the unit.
set(unit_dir usr/lib/systemd/system)
install(FILES ${here}/systemd/carbonio-limits-sync.service ${here}/systemd/carbonio-limits-sync.timer
              ${here}/systemd/carbonio-limits-notify.service
              ${here}/systemd/carbonio-limits-notify.timer
              ${here}/systemd/carbonio-limits-web.service
              ${here}/systemd/carbonio-limits-answer.service
              ${here}/systemd/carbonio-limits-answer.timer
        DESTINATION ${unit_dir})
install(DIRECTORY ${here}/systemd/carbonio-policyd.service.d DESTINATION ${unit_dir} COMPONENT deb)
install(FILES ${here}/systemd/carbonio-policyd.service DESTINATION ${unit_dir} COMPONENT rpm)
foreach(wanted carbonio-mta.target/carbonio-policyd.service timers.target/carbonio-limits-sync.timer
               timers.target/carbonio-limits-notify.timer timers.target/carbonio-limits-answer.timer)
  get_filename_component(unit ${wanted} NAME)
  get_filename_component(target ${wanted} DIRECTORY)
  file(CREATE_LINK ../${unit} ${made}/${unit} SYMBOLIC)
  install(FILES ${made}/${unit} DESTINATION ${unit_dir}/${target}.wants)
endforeach()

# Documentation. gzip -n leaves out the time.
set(documents)
foreach(page carbonio-limits.8 cbpolicyd.8)
  add_custom_command(OUTPUT ${made}/${page}.gz DEPENDS ${here}/man/${page}
                     COMMAND ${GZIP} -9nc ${here}/man/${page} > ${made}/${page}.gz)
  list(APPEND documents ${made}/${page}.gz)
endforeach()
install(FILES ${documents} DESTINATION usr/share/man/man8)
add_custom_command(OUTPUT ${made}/completion DEPENDS carbonio-limits
                   COMMAND carbonio-limits completion > ${made}/completion)
install(FILES ${made}/completion DESTINATION usr/share/bash-completion/completions
        RENAME carbonio-limits)
set(doc_dir usr/share/doc/carbonio-limits)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md DESTINATION ${doc_dir})
install(FILES ${here}/logrotate/carbonio-limits DESTINATION ${doc_dir}/examples RENAME logrotate)
install(FILES ${here}/prometheus/carbonio-limits.yml
              ${here}/prometheus/carbonio-limits-dashboard.json DESTINATION ${doc_dir}/examples)
install(FILES ${here}/redis/redis.conf ${here}/redis/sentinel.conf ${here}/redis/stunnel-redis.conf
              ${here}/redis/stunnel-mta.conf DESTINATION ${doc_dir}/examples)
# Debian's and rpm's changelogs name the version; CHANGELOG.md lists the notable changes.
add_custom_command(
  OUTPUT ${package_changelogs} ${made}/changelog.Debian.gz ${made}/changelog.gz
  DEPENDS ${here}/changelogs.py ${CMAKE_SOURCE_DIR}/CHANGELOG.md
  COMMAND Python3::Interpreter -B ${here}/changelogs.py ${PROJECT_VERSION} ${package_changelogs}
  COMMAND ${GZIP} -9nc ${made}/changelog > ${made}/changelog.Debian.gz
  COMMAND ${GZIP} -9nc ${CMAKE_SOURCE_DIR}/CHANGELOG.md > ${made}/changelog.gz)
install(FILES ${made}/changelog.gz DESTINATION ${doc_dir})
install(FILES ${here}/deb/copyright ${made}/changelog.Debian.gz DESTINATION ${doc_dir} COMPONENT deb)
install(FILES ${here}/deb/lintian-overrides DESTINATION usr/share/lintian/overrides
        RENAME carbonio-limits COMPONENT deb)
add_custom_target(package_files ALL DEPENDS ${documents} ${made}/completion ${package_changelogs})

# The packages.
set(CPACK_PACKAGE_NAME carbonio-limits)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR carbonio-limits)
set(CPACK_PACKAGE_CONTACT "carbonio-limits maintainers <maintainers@carbonio-limits.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "limits for what users of a Carbonio mail server send")
set(CPACK_PACKAGE_DESCRIPTION
"A policy daemon for Postfix that replaces the Perl CBPolicyD shipped with
Carbonio, with the same configuration, database, protocol and log, and a
command for admins: after 'carbonio-limits send 100/h' no user can send more
than 100 mails in any hour. Install it on each MTA.")
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_PROJECT_CONFIG_FILE ${here}/components.cmake)
set(CPACK_THREADS 1) # several threads would compress to different bytes

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "carbonio-core, procps")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "carbonio-mta")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${here}/deb/preinst ${here}/deb/postinst ${here}/deb/prerm
                                       ${here}/deb/postrm ${here}/deb/conffiles)

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_SUMMARY "Limits for what users of a Carbonio mail server send")
set(CPACK_RPM_PACKAGE_DESCRIPTION ${CPACK_PACKAGE_DESCRIPTION})
set(CPACK_RPM_PACKAGE_LICENSE AGPL-3.0-only)
set(CPACK_RPM_PACKAGE_GROUP "System Environment/Daemons")
set(CPACK_RPM_PACKAGE_REQUIRES "carbonio-core, procps-ng")
# Replaces the Perl daemon's package, on which carbonio-mta depends.
set(CPACK_RPM_PACKAGE_PROVIDES "carbonio-policyd = 2.1.0.0")
set(CPACK_RPM_PACKAGE_CONFLICTS "carbonio-policyd")
set(CPACK_RPM_CHANGELOG_FILE ${made}/changelog.rpm)
set(CPACK_RPM_PRE_INSTALL_SCRIPT_FILE ${here}/rpm/pre)
set(CPACK_RPM_POST_TRANS_SCRIPT_FILE ${here}/rpm/posttrans)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${here}/rpm/preun)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${here}/rpm/postun)
set(CPACK_RPM_USER_FILELIST "%config(noreplace) /${home}/conf/carbonio-limits.conf"
                            "%config(noreplace) /etc/cron.d/carbonio-limits"
                            "%doc /${doc_dir}/README.md"
                            "%license /${doc_dir}/LICENSE")
# These folders belong to Carbonio or the system.
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
    /opt /${home} /${home}/bin /${home}/common /${home}/common/bin /${home}/conf /${home}/libexec
    /etc /etc/cron.d /usr/lib/systemd /usr/lib/systemd/system
    /usr/lib/systemd/system/timers.target.wants /usr/lib/tmpfiles.d /usr/lib/sysusers.d
    /usr/share/man /usr/share/man/man8 /usr/share/bash-completion
    /usr/share/bash-completion/completions)
# No traces of the build machine, and no second stripping or compression.
set(CPACK_RPM_SPEC_MORE_DEFINE
    "%define __os_install_post %{nil}\n%define debug_package %{nil}\n%define _build_id_links none\n%define packager ${CPACK_PACKAGE_CONTACT}")
include(CPack)
