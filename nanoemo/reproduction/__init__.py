"""Running a paper's experiments again, and setting what comes out beside what the paper says: `nanoemo reproduce`.

`papers` holds the experiments and the papers' figures as data; `trials` says with which settings each is run;
`nanoemo.training.carry_out` runs it; `results` keeps what came out; `page` writes it down.
"""
from nanoemo.reproduction.page import write_page
from nanoemo.reproduction.papers import PAPERS, Paper, Trial, paper
from nanoemo.reproduction.trials import noun, trial_settings

__all__ = ["PAPERS", "Paper", "Trial", "noun", "paper", "trial_settings", "write_page"]
