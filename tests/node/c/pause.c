/* What the sandbox of a pod runs, as https://github.com/kubernetes/kubernetes/blob/v1.37.0/build/pause/linux/pause.c */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) {
    psignal(signal, "Shutting down, got signal");
    exit(0);
}

static void reap(int signal) {
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

int main(void) {
    struct sigaction ending = {.sa_handler = end}, reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
    if (sigaction(SIGINT, &ending, NULL) < 0 || sigaction(SIGTERM, &ending, NULL) < 0 ||
        sigaction(SIGCHLD, &reaping, NULL) < 0)
        return 1;
    for (;;)
        pause();
}
