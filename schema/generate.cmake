# What schema/ generates, and when: `generated` is a dependency of every layer.
file(GLOB schema_inputs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schema/*.lua ${CMAKE_SOURCE_DIR}/schema/gen/*.lua)
set(schema_headers ${GEN}/gen/log_events.h ${GEN}/gen/metrics.h ${GEN}/gen/hook_ids.h ${GEN}/gen/version.h)
add_custom_command(OUTPUT ${schema_headers}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${GEN}/gen
  COMMAND ${LUAJIT} ${CMAKE_SOURCE_DIR}/schema/gen/c_headers.lua ${CMAKE_SOURCE_DIR}/schema ${GEN}/gen ${PROJECT_VERSION}
  DEPENDS ${schema_inputs} COMMENT "schema: C headers")
add_custom_target(generated DEPENDS ${schema_headers})
