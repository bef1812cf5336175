-- Health of a CassandraBackup or CassandraRestore, from CassKop's status.condition or cassgate's status.conditions. Argo CD
-- gives a script in its ConfigMap no string library.
local status = obj.status or {}
local spec = obj.spec or {}
local scheduled = spec.schedule ~= nil and spec.schedule ~= ""

local function health(is, message)
  return { status = is, message = message }
end

-- Returns the health for CassKop's single condition.
local function last_run(condition)
  local state = condition.type
  if state == "COMPLETED" then
    return health("Healthy", "completed")
  end
  if state == "FAILED" or state == "CANCELLED" or state == "CANCELED" then
    local message = state
    for _, cause in ipairs(condition.failureCause or {}) do
      message = message .. "; " .. (cause.source or "a node") .. ": " .. (cause.message or "no message")
    end
    return health("Degraded", message)
  end
  if scheduled then
    return health("Healthy", "scheduled; the current run is " .. state)
  end
  return health("Progressing", state .. " " .. (status.progress or ""))
end

if spec.suspend and scheduled then
  return health("Suspended", "the schedule is suspended")
end
if spec.suspend then
  return health("Healthy", "never runs: it describes a backup that is in the bucket already")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

-- cassgate's conditions.
if conditions.Ready then
  if status.observedGeneration ~= obj.metadata.generation then
    return health("Progressing", "the spec has changed and cassgate has not acted on it yet")
  end
  for _, type in ipairs({ "Failed", "Stalled" }) do
    local condition = conditions[type]
    if condition and condition.status == "True" then
      return health("Degraded", condition.message)
    end
  end
  if conditions.Ready.status == "True" then
    return health("Healthy", conditions.Ready.message)
  end
  return health("Progressing", conditions.Ready.message)
end

if status.condition and status.condition.type then
  return last_run(status.condition)
end
if scheduled then
  return health("Healthy", "scheduled; no run yet")
end
return health("Progressing", "not started; if this persists, see the events of the object or the log of the operator")
