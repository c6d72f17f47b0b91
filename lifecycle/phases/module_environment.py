"""What buildpacks and image extensions find in their environment when their executables run.

Spec: buildpack.md "Environment", platform.md "User-Provided Variables", "Operator-Defined Variables".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.files.env_dir import read_env_dir
from lifecycle.files.modules import Extension
from lifecycle.rules.environment import base_environment, executable_variables, with_platform

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lifecycle.files.modules import Buildpack
    from lifecycle.model.target import TargetData
    from lifecycle.rules.environment import Phase


class ModuleEnvironments:
    """The environments of a phase: alike for all modules, but for what each is told of itself.

    Raises ``InvalidFileError`` where the variables of user or operator can't be read.
    """

    def __init__(
        self,
        phase: Phase,
        *,
        process_env: Mapping[str, str],
        platform_dir: Path,
        build_config_dir: Path,
        target: TargetData | None,
        exec_env: str,
    ) -> None:
        self.base = base_environment(process_env)
        self._phase = phase
        self._platform_dir = platform_dir
        self.platform_files = read_env_dir(platform_dir / "env")
        self.build_config_files = read_env_dir(build_config_dir / "env")
        self._target = target
        self._exec_env = exec_env

    def of(
        self,
        module: Buildpack | Extension,
        *,
        plan_path: Path,
        output_dir: Path | None = None,
        base: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Return the whole environment of one module, from ``base`` if the phase has changed that."""
        info = module.descriptor.extension if isinstance(module, Extension) else module.descriptor.buildpack
        environment = with_platform(
            self.base if base is None else base,
            platform_files=self.platform_files,
            build_config_files=self.build_config_files,
            clear_env=info.clear_env,
        )
        variables = executable_variables(
            phase=self._phase,
            api=module.api,
            module_dir=module.root,
            platform_dir=self._platform_dir,
            plan_path=plan_path,
            output_dir=output_dir,
            target=self._target,
            exec_env=self._exec_env,
            is_extension=isinstance(module, Extension),
        )
        return {**environment, **variables}
