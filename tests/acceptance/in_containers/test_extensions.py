"""Image extensions as pack runs them for a builder that it does not trust: each phase in a container of its image."""

import json
import uuid

import pytest

from parts.containers import Call, passed, run_in_order, volumes_of_one_build
from parts.distribution import distribution
from parts.platforms import NO_NEW_PRIVILEGES
from parts.skopeo import skopeo

API = "0.13"
EXTENSION = 'api = "0.10"\n[extension]\nid = "test/extension"\nversion = "1"\n'
GENERATE = r"""#!/bin/bash
set -e
cat > "$CNB_OUTPUT_DIR/build.Dockerfile" <<'EOF'
ARG base_image
FROM ${base_image}
USER root
RUN useradd --uid 1234 --create-home extra && chmod 4755 /usr/bin/env && echo extended the build image
RUN rm -r /usr/share/doc /usr/share/base-files || true
ENV PATH="/opt/extension:${PATH}"
COPY app.sh /opt/extension/
ARG user_id
ARG group_id
USER ${user_id}:${group_id}
EOF
cat > "$CNB_OUTPUT_DIR/run.Dockerfile" <<'EOF'
ARG base_image
FROM ${base_image}
USER root
RUN <<RUN
#!/bin/bash
set -e
useradd --uid 1234 --create-home extra
ln /etc/os-release /etc/another-name
rm /etc/motd
install --mode 4750 --owner extra /usr/bin/env /usr/bin/env-of-extra
echo extended the run image
RUN
ENV FROM_EXTENSION=yes
LABEL io.buildpacks.rebasable=true
ARG user_id
ARG group_id
USER ${user_id}:${group_id}
EOF
"""


@pytest.fixture(scope="module")
def lifecycle_dir(tmp_path_factory):
    """What pack lays over the run image: our distribution's executables."""
    directory = tmp_path_factory.mktemp("lifecycle") / "lifecycle"
    directory.parent.chmod(0o755)
    with distribution(tmp_path_factory).opened() as opened:
        opened.extractall(directory.parent)
    return directory


@pytest.fixture(scope="module")
def builder(images, dockerd, registry, tmp_path_factory):
    """The builder with an extension, in dockerd and in the registry."""
    directory = tmp_path_factory.mktemp("builder")
    extension = directory / "extensions" / "test_extension" / "1"
    (extension / "bin").mkdir(parents=True)
    (extension / "extension.toml").write_text(EXTENSION)
    (extension / "bin" / "generate").write_text(GENERATE)
    (extension / "bin" / "generate").chmod(0o755)
    order = dockerd.docker("run", "--rm", "--network=none", "--entrypoint=cat", images.builder, "/cnb/order.toml")
    (directory / "order.toml").write_text(
        f'{order}\n[[order-extensions]]\n[[order-extensions.group]]\nid = "test/extension"\nversion = "1"\n'
    )
    lines = [f"FROM {images.builder}", "COPY extensions /cnb/extensions/", "COPY order.toml /cnb/order.toml"]
    (directory / "Dockerfile").write_text("\n".join(lines))
    name = f"{registry.host}/with-extension/{uuid.uuid4().hex[:8]}:1"
    dockerd.docker("build", "--network=none", "--quiet", "--tag", name, str(directory))
    skopeo(
        "copy", "--src-daemon-host", dockerd.environment["DOCKER_HOST"], "--dest-tls-verify=false",
        f"docker-daemon:{name}", f"docker://{name}",
    )  # fmt: skip
    return name


@pytest.fixture(scope="module")
def build(images, dockerd, registry, builder, published, lifecycle_dir):
    """Build to a name in the registry; the volume of the extender stays for the next build."""
    kaniko = f"kaniko-{uuid.uuid4().hex[:8]}"
    ids = [str(number) for number in images.user]
    environment = {"CNB_PLATFORM_API": API, "CNB_USER_ID": ids[0], "CNB_GROUP_ID": ids[1]}

    def run(app, image):
        with volumes_of_one_build(dockerd) as volumes:
            root = {"user": "root", "environment": environment, "options": NO_NEW_PRIVILEGES}
            shared = [*volumes, f"{kaniko}:/kaniko"]
            calls = [
                Call("analyzer", images.lifecycle, ["-run-image", published[0], image], mounts=volumes, **root),
                Call(
                    "detector", builder, ["-app", "/workspace"], environment={"CNB_PLATFORM_API": API},
                    mounts=volumes, options=NO_NEW_PRIVILEGES, app=app,
                ),
                Call("restorer", images.lifecycle, ["-build-image", builder], mounts=shared, **root),
                Call("extender", builder, ["-app", "/workspace"], mounts=shared, **root),
                Call(
                    "extender", published[0], ["-app", "/workspace", "-kind", "run"],
                    mounts=[*shared, f"{lifecycle_dir}:/cnb/lifecycle:ro"], **root,
                ),
                Call("exporter", images.lifecycle, ["-app", "/workspace", image], mounts=shared, **root),
            ]  # fmt: skip
            return passed(run_in_order(dockerd, calls, images.user))

    yield run
    dockerd.docker("volume", "rm", "--force", kaniko)


def test_the_app_starts_on_the_extended_run_image_and_the_next_build_takes_all_from_the_caches(
    build, dockerd, registry, app, start, repository
):
    image = f"{registry.host}/{repository}/extended:1"
    first = build(app, image)
    assert "\nextended the build image\n" in first
    assert "\nextended the run image\n" in first
    dockerd.docker("pull", image)
    assert start(image).startswith("A bash script says hello.")
    script = "set -e; id extra; echo $FROM_EXTENSION; test ! -e /etc/motd; test /etc/os-release -ef /etc/another-name; "
    script += "stat --format '%a %U' /usr/bin/env-of-extra"
    printed = start(image, "-c", script, entrypoint="bash", user="0").splitlines()
    assert printed[0].startswith("uid=1234(extra)")
    assert printed[1:] == ["yes", "4750 extra"]
    found = json.loads(dockerd.docker("image", "inspect", image))[0]
    assert found["Config"]["User"] == "1000:1000"
    assert found["Config"]["Labels"]["io.buildpacks.rebasable"] == "true"

    second = build(app, image)
    assert "\nextended the" not in second
    assert second.count("Using the cached layer of") == 4
    dockerd.docker("pull", image)
    assert json.loads(dockerd.docker("image", "inspect", image))[0]["Id"] == found["Id"]
