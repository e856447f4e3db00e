"""RedriveExecution, which the local AWS does not have, as the documentation describes it
(https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html): an execution that has failed or was stopped
goes on in the state that it had ended in, with that state's input and the previous variables, under its own ARN. The
count of redrives is in the context and in the events of the execution's status.
"""

import contextvars
import json
import threading
import time

from ministack.core.responses import error_response_json, json_response
from ministack.services import eventbridge, stepfunctions

# The context of each execution, by its ARN. It holds the variables.
contexts = {}

# The definition that each execution was started with, by its ARN. Redrives go on with it, also after an update.
definitions = {}


def add():
    """Add the operation to the local AWS."""
    handle = stepfunctions.handle_request

    async def handle_request(method, path, headers, body, query_params):
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return redrive(json.loads(body)["executionArn"])
        return await handle(method, path, headers, body, query_params)

    stepfunctions.handle_request = handle_request
    for name in ("_execute_pass", "_execute_choice", "_execute_wait", "_execute_task"):
        setattr(stepfunctions, name, of_one_run(getattr(stepfunctions, name)))
    put_events = eventbridge._put_events
    eventbridge._put_events = lambda data, **more: put_events(with_count(data), **more)


def of_one_run(execute):
    """Return the function that runs a state, with the count of redrives in the context. After a redrive, the previous
    run ends with its state, whose function may have gone on after the execution was stopped."""

    def run(state, state_input, *rest):
        context = rest[-1]
        arn = context["Execution"]["Id"]
        contexts[arn] = context
        count = context["Execution"].setdefault("RedriveCount", 0)
        if arn not in definitions:
            definitions[arn] = stepfunctions._state_machines[context["StateMachine"]["Id"]]["definition"]
        try:
            return execute(state, state_input, *rest)
        finally:
            if contexts[arn]["Execution"]["RedriveCount"] != count:
                raise SystemExit

    return run


def with_count(data):
    """Return the entries of events, with the count of redrives in those of the status of an execution."""
    for entry in data.get("Entries", []):
        if entry.get("Source") == "aws.states":
            detail = json.loads(entry["Detail"])
            execution = contexts.get(detail["executionArn"], {}).get("Execution", {})
            entry["Detail"] = json.dumps({**detail, "redriveCount": execution.get("RedriveCount", 0)})
    return data


def redrive(arn):
    """Restart an execution."""
    execution = stepfunctions._executions.get(arn)
    if not execution:
        return error_response_json("ExecutionDoesNotExist", f"Execution {arn} not found", 400)
    if execution["status"] not in ("ABORTED", "FAILED", "TIMED_OUT"):
        return error_response_json("ExecutionNotRedrivable", f"The execution is {execution['status']}", 400)
    entered = [event for event in execution["events"] if "stateEnteredEventDetails" in event][-1]
    details = entered["stateEnteredEventDetails"]
    # A context of its own, because the previous run may still use the other one.
    context = {**contexts[arn], "variables": dict(contexts[arn]["variables"])}
    count = context["Execution"]["RedriveCount"] + 1
    context["Execution"] = {**context["Execution"], "RedriveCount": count}
    contexts[arn] = context
    execution.update(status="RUNNING", stopDate=None, output=None, error=None, cause=None)
    stepfunctions._add_event(
        execution, "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": count}}
    )
    stepfunctions._emit_execution_status_event(execution)
    definition = json.loads(definitions[arn])
    run = (go_on, definition["States"], execution, details["name"], json.loads(details["input"]), context)
    threading.Thread(target=contextvars.copy_context().run, args=run, daemon=True).start()
    return json_response({"redriveDate": time.time()})


def go_on(states, execution, name, state_input, context):
    """Run the states of an execution from one on."""
    is_current = lambda: execution["status"] == "RUNNING" and contexts[execution["executionArn"]] is context  # noqa: E731
    try:
        while name and is_current():
            state = states[name]
            kind = state["Type"]
            context["State"] = {"Name": name, "EnteredTime": stepfunctions.now_iso(), "RetryCount": 0}
            details = {"name": name, "input": json.dumps(state_input)}
            stepfunctions._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": details})
            if kind == "Fail":
                raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, state_input, context))
            following = None
            if kind == "Succeed":
                output = stepfunctions._apply_jsonata_output(state, state_input, context, default=state_input)
            elif kind == "Task":
                output, following = stepfunctions._execute_task(state, state_input, execution, context)
            else:
                output, following = getattr(stepfunctions, f"_execute_{kind.lower()}")(state, state_input, context)
            details = {"name": name, "output": json.dumps(output)}
            stepfunctions._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": details})
            name, state_input = following, output
        if is_current():
            output = json.dumps(state_input)
            execution.update(status="SUCCEEDED", output=output, stopDate=stepfunctions.now_iso())
            details = {"executionSucceededEventDetails": {"output": output}}
            stepfunctions._add_event(execution, "ExecutionSucceeded", details)
            stepfunctions._emit_execution_status_event(execution)
    except stepfunctions._ExecutionError as failure:
        stepfunctions._fail_execution(execution, failure.error, failure.cause)
