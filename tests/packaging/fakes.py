# SPDX-License-Identifier: AGPL-3.0-only
"""Stand-ins for Carbonio's own packages, as far as ours interacts with them: carbonio-core and
carbonio-policyd, with files at the real paths. Made with dpkg-deb and rpmbuild from carbonio/;
tests/carbonio/carbonio is their `carbonio prov`."""

import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE / "carbonio"
STAND_IN = HERE.parent / "carbonio/carbonio"
STATE = "/opt/zextras/state"

POLICYD = {
    "opt/zextras/common/bin/cbpolicyd": 0o755,
    "opt/zextras/common/bin/cbpadmin": 0o755,
    "lib/systemd/system/carbonio-policyd.service": 0o644,
}
CORE = {
    "opt/zextras/bin/zmcbpolicydctl": 0o755,
    "opt/zextras/bin/zmcbpadmin": 0o755,
    "opt/zextras/bin/zmcontrol": 0o755,
    "opt/zextras/libexec/zmcbpolicydinit": 0o755,
    "usr/share/carbonio-core/cbpolicyd.conf": 0o644,
    "lib/systemd/system/carbonio-mta.target": 0o644,
}


def policyd_files(tree):
    for name, mode in POLICYD.items():
        put(FILES / pathlib.Path(name).name, tree / name, mode)


def core_files(tree):
    for name, mode in CORE.items():
        put(FILES / pathlib.Path(name).name, tree / name, mode)
    # The stand-in keeps its state in $CARBONIO_STATE, and depends on the name it is called by.
    put(STAND_IN, tree / "opt/zextras/libexec/stand-in/carbonio", 0o755)
    program = tree / "opt/zextras/bin/carbonio"
    program.write_text(f"#!/bin/sh\nCARBONIO_STATE={STATE} exec python3 -B "
                       '/opt/zextras/libexec/stand-in/carbonio "$@"\n')
    program.chmod(0o755)


def put(source, place, mode):
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, place)
    place.chmod(mode)


def make_deb(folder, name, version, files, depends="", postinst=None):
    tree = folder / name
    shutil.rmtree(tree, ignore_errors=True)
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    files(tree)
    (control / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: tests\n"
        + (f"Depends: {depends}\n" if depends else "") + "Description: a stand-in\n")
    if postinst:
        put(postinst, control / "postinst", 0o755)
    package = folder / f"{name}_{version}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True,
                   capture_output=True)
    return package


def core_deb(folder, version="4.0"):
    return make_deb(folder, "carbonio-core", version, core_files,
                    postinst=FILES / "core.postinst")


def policyd_deb(folder, version="2.1.0.0"):
    return make_deb(folder, "carbonio-policyd", version, policyd_files, depends="carbonio-core")


def make_rpm(folder, name, version, files, provides=()):
    tree = folder / f"{name}.tree"
    tree.mkdir()
    files(tree)
    names = [f"/{path.relative_to(tree)}" for path in sorted(tree.rglob("*")) if not path.is_dir()]
    spec = folder / f"{name}.spec"
    spec.write_text(
        f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: a stand-in\nLicense: none\n"
        "BuildArch: noarch\nAutoReqProv: no\n"
        + "".join(f"Provides: {word}\n" for word in provides)
        + f"%description\nA stand-in.\n%install\ncp -a {tree}/. %{{buildroot}}/\n%files\n"
        + "".join(f"{path}\n" for path in names))
    subprocess.run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {folder}/rpmbuild",
                    "--define", "__os_install_post %{nil}", spec], check=True, capture_output=True)
    return folder / f"rpmbuild/RPMS/noarch/{name}-{version}-1.noarch.rpm"
