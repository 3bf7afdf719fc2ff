// Owns an independent measure of read bandwidth, to hold perfgate's against: STREAM's way (McCalpin) with reading
// alone, in C, by POSIX threads, with the compiler's own loads.
//
//     cc -O3 -march=native -pthread -o stream scripts/stream.c && ./stream THREADS BYTES
//
// Prints the best of 12 repetitions over BYTES in GB/s (10^9): all threads begin together, and the slowest one counts.

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REPETITIONS = 12, MOST_THREADS = 1024 };

static pthread_barrier_t barrier;
static size_t numbers;
static int passes;
static double begun[MOST_THREADS][REPETITIONS], ended[MOST_THREADS][REPETITIONS];
static uint64_t sums[MOST_THREADS];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static uint64_t sum(const uint64_t *data) {
    uint64_t total = 0;
    for (size_t i = 0; i < numbers; i++) total += data[i];
    return total;
}

static void *work(void *argument) {
    size_t thread = (size_t)argument;
    uint64_t *data = aligned_alloc(64, numbers * sizeof *data);
    if (!data) exit(1);
    for (size_t i = 0; i < numbers; i++) data[i] = i ^ thread;
    uint64_t total = sum(data);
    for (int repetition = 0; repetition < REPETITIONS; repetition++) {
        pthread_barrier_wait(&barrier);
        begun[thread][repetition] = now();
        for (int pass = 0; pass < passes; pass++) {
            total += sum(data);
            __asm__ volatile("" : : "r"(data) : "memory");
        }
        ended[thread][repetition] = now();
    }
    sums[thread] = total;
    return NULL;
}

int main(int count, char **words) {
    if (count != 3) return fprintf(stderr, "usage: stream THREADS BYTES\n"), 2;
    size_t threads = strtoul(words[1], NULL, 10), bytes = strtoul(words[2], NULL, 10);
    if (threads < 1 || threads > MOST_THREADS || bytes < 4096) return 2;
    numbers = bytes / threads / sizeof(uint64_t) / 8 * 8;
    // Some milliseconds for each repetition.
    passes = bytes < (64u << 20) ? (int)((64u << 20) / bytes) : 1;
    pthread_barrier_init(&barrier, NULL, threads);
    pthread_t started[MOST_THREADS];
    for (size_t i = 0; i < threads; i++) pthread_create(&started[i], NULL, work, (void *)i);
    for (size_t i = 0; i < threads; i++) pthread_join(started[i], NULL);
    double best = 1e300;
    for (int repetition = 0; repetition < REPETITIONS; repetition++) {
        double first = 1e300, last = 0;
        for (size_t i = 0; i < threads; i++) {
            if (begun[i][repetition] < first) first = begun[i][repetition];
            if (ended[i][repetition] > last) last = ended[i][repetition];
        }
        if (last - first < best) best = last - first;
    }
    printf("%.2f\n", (double)numbers * sizeof(uint64_t) * threads * passes / best / 1e9);
    return sums[0] == 1;
}
