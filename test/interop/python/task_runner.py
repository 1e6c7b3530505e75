"""The service of the TaskRunner example: version 2, which clients of release 0.1.2 can find but not ask for."""

from dataclasses import dataclass

from aster import rpc, service, wire_type


@wire_type("tasks/TaskRequest")
@dataclass
class TaskRequest:
    task_id: str = ""
    payload: str = ""


@wire_type("tasks/TaskResponse")
@dataclass
class TaskResponse:
    status: str = ""
    result: str = ""


@service(name="TaskRunner", version=2)
class TaskRunner:
    @rpc(timeout=30.0, idempotent=True)
    async def run_task(self, req: TaskRequest) -> TaskResponse:
        return TaskResponse(status="completed", result=f"Processed {req.task_id}")


SERVICES = [TaskRunner]
