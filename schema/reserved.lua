-- schema/reserved.lua - events and metrics that nothing in server/ uses yet, and why they are there: { NAME = "reason" }.
-- tests/lint/check_schema.lua warns about others, and about those here that are used by now.

return {
  LOG_EV_BUG = "base/check.c writes it without a logger",
}
