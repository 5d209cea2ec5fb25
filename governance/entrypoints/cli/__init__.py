"""The command line: one file per noun, each with `run(argv, stdin, stdout, stderr) -> exit code`."""
