"""What commands need before they begin."""

from __future__ import annotations

from app.settings import LogLevel, Settings, load_settings


def prepare(log_level: LogLevel = LogLevel.INFO) -> Settings:
    """The settings of a long-running command, with its logs set up accordingly."""
    import structlog

    from app.logs import configure_logs

    settings = load_settings()
    configure_logs(settings, settings.log_level or log_level)
    for variable in settings.assumed:
        structlog.get_logger().warning("settings.assumed", variable=variable)
    return settings


def own_url() -> str:
    settings = load_settings()
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104  # not bound here
    return f"http://{host}:{settings.port}"
