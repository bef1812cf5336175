-- How a CassandraBackup or a CassandraRestore stands: what CassKop leaves in status.condition, what cassgate leaves in
-- status.conditions. Argo CD gives a script of its ConfigMap no library of strings.
local status = obj.status or {}
local spec = obj.spec or {}
local scheduled = spec.schedule ~= nil and spec.schedule ~= ""

local function health(is, message)
  return { status = is, message = message }
end

-- CassKop's one condition.
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
    return health("Healthy", "scheduled; the run under way is " .. state)
  end
  return health("Progressing", state .. " " .. (status.progress or ""))
end

if spec.suspend and scheduled then
  return health("Suspended", "the schedule rests")
end
if spec.suspend then
  return health("Healthy", "never runs: it describes a backup that is in the bucket already")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

-- cassgate's.
if conditions.Ready then
  if status.observedGeneration ~= obj.metadata.generation then
    return health("Progressing", "the spec has changed and was not acted upon yet")
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
  return health("Healthy", "scheduled; nothing has run yet")
end
return health("Progressing", "nothing has begun; if that stays so, the events of the object or the operator's log say why")
