# The 2 points of the sweep `sweep-small`, a command for each, in the folder where this was printed. Run them one after
# another, or any number at once, on one machine or on many that share the folder of runs: the processes divide the stages
# among them. The last command makes the table; where it starts before the others have ended, it helps them first.
sida run tests/pipelines/sweep-small.yaml --runs runs --point 1 # alpha=0.5
sida run tests/pipelines/sweep-small.yaml --runs runs --point 2 # alpha=1.0
sida run tests/pipelines/sweep-small.yaml --runs runs
