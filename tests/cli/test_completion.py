"""Completion of the whole command, for the shells that tyro writes scripts for."""

import sys

import pytest

from unlearnable.cli.main import VERBS, main


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_knows_verbs_methods_tables_and_options(shell, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["unlearnable", "--tyro-print-completion", shell])
    main()
    script = capsys.readouterr().out
    names = [*VERBS, "unlearnable-clusters", "main-comparison", "audits"]
    options = ["--adv-eps", "--train-steps", "--countermeasure", "--gain", "--gray-prob", "--scale"]
    assert [word for word in names + options if word not in script] == []
