"""What ``edge doctor`` looks at: each module a part of the machine, each function one question."""
