"""Settings: YAML files and overrides in, a typed dataclass out, and the help text that describes them."""

import dataclasses
import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import worldmodel.configs
from worldmodel.cli.errors import UsageError

FOLDER = Path(worldmodel.configs.__file__).resolve().parent

Config = TypeVar("Config")


@dataclasses.dataclass(kw_only=True, slots=True)
class EnvConfig:
    """An environment.

    Attributes:
        id: Gymnasium id.
        kwargs: Keyword arguments of `gymnasium.make`.
    """

    id: str
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(kw_only=True, slots=True)
class PlayerConfig:
    """A scripted player.

    Attributes:
        name: Name that `worldmodel.agents.make_player` knows.
        kwargs: Its keyword arguments.
    """

    name: str
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)


def load(name: str, schema: type[Config], overrides: Sequence[str]) -> Config:
    """Composes the settings of a sub-command.

    Args:
        name: Name of its YAML file.
        schema: Dataclass that the settings become.
        overrides: Texts such as `"steps=200"`, `"env=treechop"` or `"env.kwargs.width=64"`.

    Raises:
        UsageError: If an override is malformed, names no setting or no choice, or has a value of the wrong type.
    """
    # hydra.main would take over sys.argv, the working directory and logging; composing does none of it.
    groups = _groups(name)
    checked = [_checked(override, schema, groups) for override in overrides]
    try:
        with initialize_config_dir(config_dir=str(FOLDER), version_base="1.3"):
            composed = compose(config_name=name, overrides=checked)
        merged = OmegaConf.merge(OmegaConf.structured(schema), composed)
        if missing := sorted(OmegaConf.missing_keys(merged)):
            raise UsageError(f"{missing[0]}: expected a value, got none; add {missing[0]}=<value>")
        try:
            return OmegaConf.to_object(merged)  # type: ignore[return-value]
        except ValueError as error:  # what the dataclasses themselves have to say
            raise UsageError(_first_line(error)) from None
    except (HydraException, OmegaConfBaseException) as error:
        place = getattr(error, "full_key", None)
        raise UsageError(f"{place}: {_first_line(error)}" if place else _first_line(error)) from None


def help_text(name: str, usage: str, examples: Sequence[str], overrides: Sequence[str] = ()) -> str:
    """Returns the help of a sub-command: its settings with defaults, choices and the comments of its YAML files.

    Args:
        name: Name of the sub-command.
        usage: What it does, one or two sentences.
        examples: Command lines.
        overrides: Choices whose keyword arguments are shown, such as `"player=patrol"`, instead of the defaults'.
    """
    chosen = dict(override.partition("=")[::2] for override in overrides)
    rows: list[tuple[str, str]] = []
    for setting, (default, comment) in _comments(FOLDER / f"{name}.yaml").items():
        rows.append((f"{setting}={default}", comment))
        for option in _choices(setting):
            rows.append((f"    {option}", _title(setting, option)))
        if _choices(setting):
            choice = chosen.get(setting, default)
            path = FOLDER / setting / f"{choice}.yaml"
            details = _comments(path) if choice in _choices(setting) else {}
            prefix = f"{setting}.kwargs" if details and "kwargs:" in path.read_text(encoding="utf-8") else setting
            rows += [(f"{prefix}.{key}={value}", text) for key, (value, text) in details.items()]
            rows.append(("", ""))
    width = max(len(left) for left, _ in rows) + 2
    lines = [f"  {left:<{width}}{right}".rstrip() for left, right in rows]
    return "\n".join(
        [
            f"Usage: worldmodel {name} [name=value ...]",
            *("", usage),
            *(
                "",
                "Settings and their defaults (add a choice, such as player=patrol, to see those of its own):",
                *lines,
            ),
            *("", "Examples:", *(f"  {example}" for example in examples)),
        ]
    )


def player_kwargs(name: str | None) -> dict[str, Any]:
    """Returns the keyword arguments that a player has by default; none if it has no file of its own."""
    path = FOLDER / "player" / f"{name}.yaml"
    return OmegaConf.to_container(OmegaConf.load(path).kwargs) if path.exists() else {}  # type: ignore[return-value]


def _comments(path: Path) -> dict[str, tuple[str, str]]:
    """Returns value and comment of each setting of a YAML file that has a comment right above it."""
    settings: dict[str, tuple[str, str]] = {}
    comment = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment = text.removeprefix("#").strip()
            continue
        if text.startswith("- ") and ":" not in text and text != "- _self_":
            settings |= _comments(path.with_name(f"{text[2:]}.yaml"))
        setting, _, value = text.removeprefix("- ").partition(":")
        if comment and value and setting not in ("id", "name"):  # theirs is the title of a choice
            settings[setting] = (value.strip(), comment)
        comment = ""
    return settings


def _title(group: str, choice: str) -> str:
    """Returns the first comment of a choice."""
    lines = (FOLDER / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if not line.startswith("# @")).removeprefix("# ")


def _choices(group: str) -> list[str]:
    """Returns the choices of a group; none if there is no such group."""
    return sorted(path.stem for path in (FOLDER / group).glob("*.yaml"))


def _groups(name: str) -> set[str]:
    """Returns the groups that a sub-command chooses from."""
    defaults = OmegaConf.to_container(OmegaConf.load(FOLDER / f"{name}.yaml")).get("defaults", [])  # type: ignore[union-attr,call-overload]
    return {str(group) for default in defaults if isinstance(default, dict) for group in default}


def _checked(override: str, schema: type, groups: set[str]) -> str:
    """Returns an override as Hydra wants it, or raises an error that says what would be right."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise UsageError(f"expected name=value, got {override!r}") from None
    if parsed.is_sweep_override():
        raise UsageError(f"{override!r}: expected one value, got several; quote a text that has commas in it")
    parts = parsed.key_or_group.split(".")
    options = _choices(parts[0])
    if options and len(parts) == 1 and parsed.value() not in options:
        raise UsageError(f"{parts[0]}: expected one of {', '.join(options)}, got {str(parsed.value())!r}")
    if len(parts) > 1 or parts[0] not in groups:  # an experiment is no setting, but sets many
        _check_name(parts, schema)
    # Keyword arguments are open, and files need not repeat defaults: a new one needs no plus sign from the user.
    return f"++{override}" if len(parts) > 1 and override[0] not in "+~" else override


def _check_name(parts: Sequence[str], schema: Any) -> None:
    for i, part in enumerate(parts):
        if not dataclasses.is_dataclass(schema):
            return
        types = typing.get_type_hints(schema)
        if part not in types:
            before = "".join(f"{name}." for name in parts[:i])
            close = difflib.get_close_matches(part, types, 1)
            hint = f"; did you mean {before}{close[0]}?" if close else ""
            names = ", ".join(f"{before}{name}" for name in types)
            raise UsageError(f"expected a setting among {names}, got {'.'.join(parts)!r}{hint}")
        schema = types[part]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
