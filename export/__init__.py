"""The workstation side: makes bundles. torch and its relatives are imported here and nowhere else."""
