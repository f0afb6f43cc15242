/* http/http_priv.h - one transfer as libcurl has it; only http/ includes it. */
#pragma once

#include <curl/curl.h>

#include "http/http_client.h"

struct http_handle {
	struct http_transfer *t;
	CURL *easy;
	struct curl_slist *headers, *resolve, *connect_to;
	char error[CURL_ERROR_SIZE];
	size_t head_octets;
	int64_t max_age_s, age_s;
	bool no_cache, tls_begun;
	bool head_too_long, body_too_long;
};

/* Once per process, any number of times: what libcurl frees is wiped from then on. */
void http_library_open(void);
void http_library_close(void);

/* The system's monotonic clock. */
int64_t http_now_us(void);

/* Makes t->handle_. Or fails; then t->status and why are set. */
int http_handle_open(struct http_transfer *t);
/* Sets status, step, why, answer. */
void http_handle_result(struct http_handle *h, CURLcode code);
void http_handle_canceled(struct http_handle *h);
void http_handle_close(struct http_transfer *t);

/* ---- http_answer.c ---- */
void http_answer_begin(struct http_handle *h);
/* libcurl's callbacks; @arg is the handle. */
size_t http_answer_header(char *p, size_t size, size_t n, void *arg);
size_t http_answer_body(char *p, size_t size, size_t n, void *arg);
/* As struct http_answer has it. */
int64_t http_answer_fresh(const struct http_handle *h);
