"""The rule language: rule text in, `model.program.Program` out. Imports lark only to parse."""
