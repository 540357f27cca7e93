"""Running a paper's experiments again, and setting what comes out beside what the paper says: `nanoemo reproduce`.

`papers` holds the experiments and the papers' figures as data; `carry_out` runs one; `page` writes what came out.
"""
from nanoemo.reproduction.carry_out import carry_out, noun, trial_settings
from nanoemo.reproduction.page import write_page
from nanoemo.reproduction.papers import PAPERS, Paper, Trial, paper

__all__ = ["PAPERS", "Paper", "Trial", "carry_out", "noun", "paper", "trial_settings", "write_page"]
