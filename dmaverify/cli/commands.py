"""The commands there are: this list is all there is to register."""

from dmaverify.cli.base import Command
from dmaverify.cli.check import Check
from dmaverify.cli.matrix import Matrix
from dmaverify.cli.rules_check import RulesCheck
from dmaverify.cli.rules_explain import RulesExplain
from dmaverify.cli.rules_list import RulesList
from dmaverify.cli.rules_test import RulesTest
from dmaverify.cli.simulate import Simulate
from dmaverify.cli.trace_info import TraceInfoCommand

COMMANDS: tuple[Command, ...] = (
    Check(),
    Simulate(),
    Matrix(),
    TraceInfoCommand(),
    RulesList(),
    RulesCheck(),
    RulesTest(),
    RulesExplain(),
)

#: What the first word of a command of two words stands for.
GROUPS = {
    "trace": "what is in a recording",
    "rules": "list, check, test and explain rules",
}
