#include "mail/mail_fault.h"

#include "base/check.h"
#include "base/err.h"
#include "mail/mail_address.h"
#include "mail/mail_date.h"
#include "mail/mail_fold.h"
#include "mail/mail_msgid.h"

/* More addresses than that in From or Sender are a fault themselves. */
enum { BOXES_MAX = 100 };

static const char *const single_names[] = {
#define X(name) name,
	MAIL_SINGLE_FIELD_MAP(X)
#undef X
};

const char *mail_fault_single_name(unsigned i)
{
	return i < ARRAY_LEN(single_names) ? single_names[i] : NULL;
}

const char *mail_fault_text(unsigned faults)
{
#define X(name, bit, text)                                                                                   \
	if (faults & MAIL_FAULT_##name)                                                                      \
		return text;
	MAIL_FAULT_MAP(X)
#undef X
	return "no fault";
}

static unsigned check_date(const struct mail_head *h)
{
	struct mail_date date;
	const struct mail_field *f = mail_head_find(h, SPAN("Date"), 0);

	if (!f)
		return MAIL_FAULT_NO_DATE;
	return mail_date_parse(f->body, &date) < 0 ? MAIL_FAULT_BAD_DATE : 0;
}

static unsigned check_msgid(const struct mail_head *h)
{
	const struct mail_field *f = mail_head_find(h, SPAN("Message-ID"), 0);

	if (!f)
		return MAIL_FAULT_NO_MESSAGE_ID;
	return mail_msgid_parse(f->body, NULL) < 0 ? MAIL_FAULT_BAD_MESSAGE_ID : 0;
}

static unsigned check_originators(const struct mail_head *h, const struct mail_address_list *from,
				  const struct mail_address_list *sender)
{
	const bool has_sender = mail_head_find(h, SPAN("Sender"), 0) != NULL;
	unsigned found = 0;

	if (!mail_head_find(h, SPAN("From"), 0))
		found |= MAIL_FAULT_NO_FROM;
	else if (from->n == 0 || from->broken)
		found |= MAIL_FAULT_BAD_FROM;
	if (from->n > 1 && !has_sender) /* RFC 5322 section 3.6.2 */
		found |= MAIL_FAULT_NO_SENDER;
	if (has_sender && (sender->n != 1 || sender->broken))
		found |= MAIL_FAULT_BAD_SENDER;
	for (size_t i = 0; i < from->n; i++)
		if (from->boxes[i].flags & MAIL_MAILBOX_NO_DOMAIN)
			found |= MAIL_FAULT_FROM_NO_DOMAIN;
	return found;
}

/* The addresses of the first field of this name; none if there is no such field or too many addresses. */
static int addresses_of(const struct mail_head *h, struct span name, struct mail_address_list *list_r)
{
	const struct mail_field *f = mail_head_find(h, name, 0);

	*list_r = (struct mail_address_list){ 0 };
	return f ? mail_address_parse(h->arena, f->body, BOXES_MAX, list_r) : 0;
}

int mail_fault_check(const struct mail_head *h, struct mail_faults *faults_r)
{
	struct mail_faults faults = { 0 };
	struct mail_address_list from, sender;

	if (addresses_of(h, SPAN("From"), &from) < 0 || addresses_of(h, SPAN("Sender"), &sender) < 0)
		return -ERR_TOOBIG;
	faults.found = check_date(h) | check_msgid(h) | check_originators(h, &from, &sender);
	if (!mail_head_find(h, SPAN("To"), 0) && !mail_head_find(h, SPAN("Cc"), 0) &&
	    !mail_head_find(h, SPAN("Bcc"), 0))
		faults.found |= MAIL_FAULT_NO_RECIPIENT;
	for (unsigned i = 0; i < ARRAY_LEN(single_names); i++)
		if (mail_head_count(h, span_of(single_names[i])) > 1)
			faults.duplicates |= 1u << i;
	if (faults.duplicates)
		faults.found |= MAIL_FAULT_DUPLICATE;
	*faults_r = faults;
	return 0;
}

/* --- mending --- */

/* Gives the first field of this name the value, or adds one. */
static int set_field(struct mail_head *h, struct span name, struct span value)
{
	struct mail_field *f = mail_head_find(h, name, 0);

	return f ? mail_head_replace(h, f, value, MAIL_FOLD_UTF8)
		 : mail_head_append(h, name, value, MAIL_FOLD_UTF8);
}

static int mend_date(struct mail_head *h, const struct mail_fault_repair *repair)
{
	const struct mail_date_text text = mail_date_format(repair->unix_s, repair->zone_min);

	return set_field(h, SPAN("Date"), span_of(text.s));
}

static int mend_msgid(struct mail_head *h, const struct mail_fault_repair *repair)
{
	struct buf b = BUF_INIT(MAIL_LINE_MAX);
	int rc = mail_msgid_write(&b, repair->unique, repair->host);

	if (rc == 0)
		rc = set_field(h, SPAN("Message-ID"), buf_span(&b));
	buf_free(&b);
	return rc;
}

static int mend_from(struct mail_head *h, const struct mail_fault_repair *repair)
{
	struct buf b = BUF_INIT(MAIL_LINE_MAX);
	int rc = -ERR_TOOBIG;

	buf_add_char(&b, '<');
	mail_address_write(&b, repair->from_local, repair->from_domain, MAIL_FOLD_UTF8);
	if (buf_add_char(&b, '>'))
		rc = set_field(h, SPAN("From"), buf_span(&b));
	buf_free(&b);
	return rc;
}

/* The first of the authors is who sent it, as far as anybody can know. */
static int mend_sender(struct mail_head *h)
{
	struct mail_address_list from;
	const int rc = addresses_of(h, SPAN("From"), &from);

	if (rc < 0 || from.n == 0)
		return rc;
	return set_field(h, SPAN("Sender"), from.boxes[0].all);
}

/* Moves the addresses of the later fields of this name into the first. */
static int join_values(struct mail_head *h, struct span name)
{
	struct buf b = BUF_INIT(MAIL_FIELD_OCTETS_MAX);
	struct mail_field *f;

	for (int i = 0; (f = mail_head_find(h, name, i)) != NULL; i++) {
		const struct span value = mail_field_value(h->arena, f);
		if (value.n && b.n)
			buf_add_str(&b, ", ");
		buf_add_span(&b, value);
	}
	const int rc = b.overflow ? -ERR_TOOBIG : set_field(h, name, buf_span(&b));
	buf_free(&b);
	return rc;
}

static int mend_duplicates(struct mail_head *h, unsigned duplicates)
{
	for (unsigned i = 0; i < ARRAY_LEN(single_names); i++) {
		const struct span name = span_of(single_names[i]);
		const bool destination =
			span_eq(name, SPAN("To")) || span_eq(name, SPAN("Cc")) || span_eq(name, SPAN("Bcc"));
		struct mail_field *f;
		if (!(duplicates & 1u << i))
			continue;
		const int rc = destination ? join_values(h, name) : 0;
		if (rc < 0)
			return rc;
		while ((f = mail_head_find(h, name, 1)) != NULL)
			mail_head_remove(h, f);
	}
	return 0;
}

int mail_fault_mend(struct mail_head *h, const struct mail_faults *faults,
		    const struct mail_fault_repair *repair)
{
	const unsigned date = MAIL_FAULT_NO_DATE | MAIL_FAULT_BAD_DATE;
	const unsigned msgid = MAIL_FAULT_NO_MESSAGE_ID | MAIL_FAULT_BAD_MESSAGE_ID;
	unsigned todo = faults->found & repair->wanted;
	int rc = 0;

	todo &= date | msgid | MAIL_FAULT_NO_FROM | MAIL_FAULT_NO_SENDER | MAIL_FAULT_DUPLICATE;
	if (repair->from_local.n == 0)
		todo &= ~(unsigned)MAIL_FAULT_NO_FROM;
	if (todo & MAIL_FAULT_DUPLICATE)
		rc = mend_duplicates(h, faults->duplicates);
	if (rc == 0 && todo & date)
		rc = mend_date(h, repair);
	if (rc == 0 && todo & msgid)
		rc = mend_msgid(h, repair);
	if (rc == 0 && todo & MAIL_FAULT_NO_FROM)
		rc = mend_from(h, repair);
	if (rc == 0 && todo & MAIL_FAULT_NO_SENDER)
		rc = mend_sender(h);
	return rc < 0 ? rc : (int)todo;
}
