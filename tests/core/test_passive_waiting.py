"""How threads wait: asleep from the command line, as the user says where they say it, and untouched elsewhere."""

import os

import pytest

from isoglot.cli import main

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.fixture
def environment(monkeypatch):
    """None of the settings, whatever the tests run under; what is set during a test is undone."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def settings_after_the_command():
    with pytest.raises(SystemExit):
        main(["--version"])
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def test_the_command_has_threads_sleep(environment):
    assert settings_after_the_command() == {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "1000"), ("KMP_BLOCKTIME", "200")]
)
def test_the_users_own_setting_wins(environment, name, value):
    environment.setenv(name, value)
    assert settings_after_the_command() == {name: value}
