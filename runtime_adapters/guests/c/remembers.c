/* Answers with what it was told last time, and remembers what it is told now. */
#include "microapp.h"

static char told[4096], quoted[8192], asked[9000], heard[70000];

int main(void)
{
    if (microapp_request(told, sizeof told) < 0 || microapp_quoted(told, quoted, sizeof quoted) < 0) {
        fputs("the request is too long\n", stderr);
        return 1;
    }
    if (microapp_call("{\"op\":\"kv.get\",\"key\":\"told\"}", heard, sizeof heard) < 0)
        return 1;
    puts(heard);
    snprintf(asked, sizeof asked, "{\"op\":\"kv.put\",\"key\":\"told\",\"value\":%s}", quoted);
    return microapp_call(asked, heard, sizeof heard) < 0;
}
