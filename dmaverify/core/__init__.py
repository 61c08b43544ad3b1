"""The shadow engine: events and a rule program in, groups of hits out.

No strings, no printing, no files. The compiled modules form one ladder, bottom to top:
table, shadow, world, resolve, vm, engine; each uses only those before it.
"""
