//! An Indexed Job.

use super::sweep_file::{SweepFile, string};

/// A pod's name is the Job's and its index, in 63 characters.
const LONGEST: usize = 45;

pub(super) fn file(sweep: &SweepFile<'_>) -> String {
    let (name, count) = (name(&sweep.name), sweep.points.len());
    // `$(NAME)` would be replaced in a command.
    let command = sweep.command().replace('$', "$$");
    let point = if sweep.is_search() { "" } else { " --point $((JOB_COMPLETION_INDEX + 1))" };
    format!(
        "# The {count} points of the sweep `{sweep}`, an index for each, and a Job that makes the table. EDIT the lines that say so, then
#
#     kubectl apply -f {name}.yaml
#
# and when `kubectl get job {name}` says that it has ended, completely or not:
#
#     kubectl patch job {name}-table --patch '{{\"spec\": {{\"suspend\": false}}}}'
#
# The points; a pod's index is one less:
{listed}apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  completionMode: Indexed
  completions: {count}
  parallelism: {count} # EDIT: as many at once as there is room for
  backoffLimitPerIndex: 3
{policy}{pod}---
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}-table
spec:
  suspend: true
  backoffLimit: 3
{policy_of_table}{pod_of_table}",
        sweep = sweep.name,
        listed = sweep.tasks(count),
        policy = policy("FailIndex"),
        pod = pod(&format!("exec {command}{point}")),
        policy_of_table = policy("FailJob"),
        pod_of_table = pod(&format!("exec {command}")).trim_end(),
    )
}

/// What sida's exit codes mean: what is wrong stays wrong, what was interrupted goes on.
fn policy(fail: &str) -> String {
    format!(
        "  podFailurePolicy:
    rules:
      # A wrong file or command, an expectation that was not met, a training that diverged: the same again.
      - action: {fail}
        onExitCodes: {{ containerName: sida, operator: In, values: [2, 3, 4] }}
      # Interrupted, with its state saved; and pods that the cluster takes away: tried again, and not counted.
      - action: Ignore
        onExitCodes: {{ containerName: sida, operator: In, values: [130] }}
      - action: Ignore
        onPodConditions: [{{ type: DisruptionTarget, status: \"True\" }}]
"
    )
}

fn pod(script: &str) -> String {
    format!(
        "  template:
    spec:
      restartPolicy: Never
      # Time to save a checkpoint.
      terminationGracePeriodSeconds: 300
      containers:
        - name: sida
          image: sida:latest # EDIT: an image that has sida in its PATH
          command: [sh, -c, {script}]
          workingDir: /work
          env:
            - {{ name: SIDA_CACHE, value: /work/cache }}
          resources:
            requests: {{ cpu: \"2\", memory: 8Gi }} # EDIT
            # limits: {{ nvidia.com/gpu: 1 }}
          volumeMounts:
            - {{ name: work, mountPath: /work }}
      volumes:
        - name: work
          # EDIT: a claim that all pods can write, with the sweep, its base and the datasets; the runs are written there, too.
          persistentVolumeClaim: {{ claimName: work }}
",
        script = string(script)
    )
}

/// The sweep's name as a cluster takes it: small letters, digits, and `-` between them.
fn name(sweep: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = sweep.chars().map(safe).take(LONGEST).collect();
    let name = name.trim_matches('-');
    let name = if name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.to_owned()
    } else {
        format!("sweep-{name}")
    };
    name.trim_end_matches('-').to_owned()
}
