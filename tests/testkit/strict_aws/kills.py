"""Kills functions midway, as Lambda does if a machine fails or memory runs out.

A test writes the file `kills/{push_id}` into the working folder, with the name of a stage and a number of seconds. The process
of the first attempt of that stage for that push is killed (SIGKILL) so long after it has begun. If it is done before, its
response is lost, and its process ends. In either case the invocation fails with `Runtime.ExitError`. Then the file is renamed to
`kills/{push_id}.killed`, and also says which of the two it was: `midway` or `done`.

An invocation whose process ends before it asks for its first event fails with that name too, as in Lambda.
"""

import threading
from pathlib import Path

from ministack.core import lambda_runtime

KILLS = Path.cwd() / "kills"
# How often it is looked whether the process has taken the invocation, in seconds.
POLL = 0.002


def watch():
    """Kill the functions that tests name from now on."""
    KILLS.mkdir(exist_ok=True)
    invoke = lambda_runtime.ProvidedWorker.invoke

    def invoke_or_kill(worker, event, request_id, **options):
        plan = planned(worker, event)
        if plan is None:
            return invoke(worker, event, request_id, **options)
        over = threading.Event()
        seconds = float(plan.read_text().split()[1])
        threading.Thread(target=kill, args=(worker, request_id, seconds, over), daemon=True).start()
        result = invoke(worker, event, request_id, **options)
        over.set()
        is_done = result["status"] == "ok"
        if is_done:
            worker._teardown()
            result = {**result, "status": "error", "error": "killed", "error_payload": {
                "errorMessage": "killed before its response was read", "errorType": "Runtime.ExitError"}}
        with plan.open("a") as file:
            file.write(" done" if is_done else " midway")
        plan.rename(plan.with_name(f"{plan.name}.killed"))
        return result

    lambda_runtime.ProvidedWorker.invoke = invoke_or_kill
    await_init = lambda_runtime.ProvidedWorker._await_init

    def await_init_as_named(worker, *rest, **options):
        # The local AWS ends processes when a function is deployed anew, also those that are about to begin.
        try:
            return await_init(worker, *rest, **options)
        except RuntimeError as error:
            if "exited during init" not in str(error):
                raise
            raise lambda_runtime.ProvidedRuntimeError(str(error), "Runtime.ExitError") from error

    lambda_runtime.ProvidedWorker._await_init = await_init_as_named


def planned(worker, event):
    """Return the file that says that this invocation is to be killed, or None."""
    if not isinstance(event, dict) or event.get("attempt") != 0 or not isinstance(event.get("push"), dict):
        return None
    plan = KILLS / str(event["push"].get("push_id"))
    try:
        stage = plan.read_text().split()[0]
    except FileNotFoundError:
        return None
    return plan if f"-{stage}Function-" in worker.func_name else None


def kill(worker, request_id, seconds, over):
    """Kill the process of this invocation, so long after it has begun."""
    while worker._current_request_id != request_id:
        if over.wait(POLL):
            return
    if not over.wait(seconds) and (process := worker._proc) is not None:
        process.kill()
