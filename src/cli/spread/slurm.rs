//! A script for `sbatch`.

use super::{super::invocation::quoted, sweep_file::SweepFile};

/// Slurm's `MaxArraySize` is 1001 unless somebody changed it, and larger than any task's number.
const MOST: usize = 1000;

/// `exec`: the signals that the batch shell gets are sida's.
pub(super) fn file(sweep: &SweepFile<'_>) -> String {
    let name = &sweep.name;
    let (tasks, command) = sweep.shares(MOST, "$SLURM_ARRAY_TASK_ID");
    let share = match sweep.points.len() {
        count if count > tasks => format!(
            "\n# An array has at most {MOST} tasks where `MaxArraySize` is 1001, as it is by default: each takes a share of the points.\n#"
        ),
        _ => String::new(),
    };
    format!(
        "#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{tasks}
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
# EDIT what a task may use, and remove a `#` from these:
##SBATCH --time=24:00:00
##SBATCH --cpus-per-task=8
##SBATCH --mem=32G
##SBATCH --gres=gpu:1
#
# The {count} points of the sweep `{name}`. Submit this file where it was printed, in a folder that all machines share, and the
# job that makes the table when all tasks have ended, well or not:
#
#     id=$(sbatch --parsable {name}.sbatch)
#     sbatch --dependency=afterany:$id --wrap={collect}
#
# `--array=1-{tasks}%4` runs four tasks at once. A task that is preempted saves, is queued again, and goes on from there. One that
# reaches its time limit saves two minutes before it and ends with exit code 130: submit the file again to go on.
#{share}
# The tasks:
{listed}
exec {command}",
        count = sweep.points.len(),
        collect = quoted(&sweep.command()),
        listed = sweep.tasks(tasks),
    )
}
