"""What people write for the scripts, on the command line and in a YAML.

What is wrong with it is one line that says how to do it right. The scripts and config.py use it;
nobody needs it to understand the loop.
"""
