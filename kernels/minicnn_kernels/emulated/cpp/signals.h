// A kernel that the CPU refuses to go on with, and one that the user stops.
//
// Far from its arrays a kernel finds memory that may not be touched; the CPU then sends a signal. Its handler writes
// down what happened and lets the thread go on where the block was started, so the launch ends in an error. Ctrl-C does
// the same to the kernels on all threads; then Python raises its KeyboardInterrupt. Programs for sanitizers and
// debuggers are without this: those want the signals for themselves.
#pragma once
#include "shared.h"
#ifndef EMULATED_PROGRAM
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include <mutex>

namespace emulated {

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGINT};
static struct sigaction before[65];
static int launches_running;
static volatile sig_atomic_t stopped;
static Block* all_blocks;  // of all threads of the CPU

// Let the signal's handler return to the one who started the block.
static void leave_block(ucontext_t* there, const char* error, bool names_thread) {
  Block& b = *block;
  b.error = error;
  b.error_line = names_thread ? WITHOUT_LINE : -1;
  there->uc_mcontext.gregs[REG_RSI] = (greg_t)b.caller_stack;
  there->uc_mcontext.gregs[REG_RIP] = (greg_t)emulated_leave;
}

static void say_what_happened(int signal, const siginfo_t* info) {
  Block& b = *block;
  auto within = [&](const char* start, const char* end) {
    return (char*)info->si_addr >= start && (char*)info->si_addr < end;
  };
  if (signal == SIGFPE)
    snprintf(b.text, sizeof b.text, "divided an integer by 0");
  else if (signal == SIGILL)
    snprintf(b.text, sizeof b.text, "read or wrote at an address that is not aligned for its type");
  else if (within(b.stacks - 16 * STACK, b.stacks))
    snprintf(b.text, sizeof b.text, "needs more than the %d KB for local variables that a thread has here",
             STACK >> 10);
  else if (within(b.room - FAR, b.room + ROOM + FAR))
    snprintf(b.text, sizeof b.text, "read or wrote far outside of shared memory");
  else if (info->si_code == SI_KERNEL)
    snprintf(b.text, sizeof b.text, "read or wrote at an address that no memory can have, or that is not aligned");
  else
    snprintf(b.text, sizeof b.text, "read or wrote at %p", info->si_addr);
}

static void on_signal(int signal, siginfo_t* info, void* context) {
  bool in_kernel = block && block->running;
  if (signal == SIGINT) {
    bool forwarded = stopped && info->si_code == SI_TKILL;
    stopped = 1;
    if (!forwarded) {
      for (Block* b = __atomic_load_n(&all_blocks, __ATOMIC_ACQUIRE); b; b = b->other)
        if (b != block && b->running) pthread_kill((pthread_t)b->thread, SIGINT);
      const struct sigaction& old = before[SIGINT];
      old.sa_flags& SA_SIGINFO ? old.sa_sigaction(signal, info, context) : old.sa_handler(signal);
    }
    if (in_kernel && !block->allocates) leave_block((ucontext_t*)context, "stopped by Ctrl-C", false);
  } else if (in_kernel) {
    say_what_happened(signal, info);
    leave_block((ucontext_t*)context, block->text, true);
  } else {
    sigaction(signal, &before[signal], nullptr);  // not from a kernel: as if this handler had never been here
  }
}

// The handler is there while kernels run.
struct Handlers {
  Handlers() {
    std::lock_guard<std::mutex> guard(lock());
    if (launches_running++) return;
    stopped = 0;
    struct sigaction now = {};
    now.sa_sigaction = on_signal;
    now.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int signal : SIGNALS) {
      sigaction(signal, nullptr, &before[signal]);
      bool by_default = before[signal].sa_handler == SIG_DFL || before[signal].sa_handler == SIG_IGN;
      if (signal != SIGINT || !by_default) sigaction(signal, &now, nullptr);
    }
  }
  ~Handlers() {
    std::lock_guard<std::mutex> guard(lock());
    if (--launches_running) return;
    for (int signal : SIGNALS) sigaction(signal, &before[signal], nullptr);
  }
  static std::mutex& lock() {
    static std::mutex only;
    return only;
  }
};

// A thread of the CPU that will run blocks: its handlers need a stack, since that of a kernel may be full.
static void prepare_for_signals(Block* made) {
  made->thread = (uint64_t)pthread_self();
  made->other = __atomic_load_n(&all_blocks, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&all_blocks, &made->other, made, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
  stack_t found;
  if (sigaltstack(nullptr, &found) || !(found.ss_flags & SS_DISABLE)) return;
  found.ss_size = 64 << 10;
  found.ss_sp = malloc(found.ss_size);
  found.ss_flags = 0;
  sigaltstack(&found, nullptr);
}

static bool is_stopped() { return stopped; }

}  // namespace emulated
#else
namespace emulated {
struct Handlers {};
static void prepare_for_signals(Block*) {}
static bool is_stopped() { return false; }
}  // namespace emulated
#endif
