from __future__ import annotations

from tests.api.conftest import settings as settings  # noqa: PLC0414  # fixtures of these tests too
from tests.e2e.conftest import launcher as launcher  # noqa: PLC0414
from tests.e2e.conftest import site as site  # noqa: PLC0414
