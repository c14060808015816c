/* eat MIB [MILLISECONDS]: takes that much memory, a MiB at a time with a pause after each, and keeps it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1 << 20)

int main(int count, char **arguments) {
    int mebibytes = count > 1 ? atoi(arguments[1]) : 0, milliseconds = count > 2 ? atoi(arguments[2]) : 0;
    if (mebibytes <= 0) {
        fputs("usage: eat MIB [MILLISECONDS]\n", stderr);
        return 2;
    }
    for (int taken = 0; taken < mebibytes; taken++) {
        char *piece = malloc(MIB);
        if (piece == NULL) {
            fprintf(stderr, "no memory after %d MiB\n", taken);
            return 1;
        }
        /* Not zero: malloc gives zero pages that take no memory until they are written to. */
        memset(piece, 1, MIB);
        usleep(milliseconds * 1000);
    }
    printf("%d MiB\n", mebibytes);
    fflush(stdout);
    for (;;)
        pause();
}
