/* The blocked thread is woken and gets a CPU. */
#ifndef EPULSE_BPF_EPOLL_WAKEUPS_H
#define EPULSE_BPF_EPOLL_WAKEUPS_H

#include "epoll/blame.h"
#include "epoll/drains.h"
#include "epoll/stats.h"
#include "epoll/workers.h"

/* `task`, of the target, is being woken by whoever runs on this CPU. */
static __always_inline void on_woken(struct task_struct* task) {
  struct thread* thread = thread_of(task);
  const struct signal* signal;
  __u32 zero = 0;
  __u64 now;
  /* A second wake-up before it runs says that the first came before it slept. */
  if (!thread || thread->running_ns || !in_detailed_wait(thread)) return;
  now = bpf_ktime_get_ns();
  thread->waking_ns = now;
  thread->ready_to_woken_ns = 0;
  if (blame_from_ns) starts_waiting_for_cpu(thread);
  /* ep_poll_callback() wakes from within the signal, so on its CPU; else the waker is no watched
   * file. */
  signal = bpf_map_lookup_elem(&last_signal, &zero);
  if (signal && signal->epoll_id == thread->epoll_id && signal->ns >= thread->enter_ns)
    thread->ready_to_woken_ns = now - signal->ns;
}

/* The thread leaves the CPU. Asleep in epoll_wait it handles nothing any more; and if it had been
 * woken there, it was for nothing. */
static __always_inline void on_switched_out(struct task_struct* task, bool preempted) {
  struct thread* thread = thread_of(task);
  struct epoll_worker_stats* stats;
  if (!thread || preempted || !in_detailed_wait(thread)) return;
  if (!thread->running_ns && !thread->looks_left) return;
  /* Sleeping on the instance's mutex or on a page is uninterruptible; ep_poll() sleeps
   * interruptibly. */
  if (!task_sleeps_interruptibly(task)) return;
  stats = own_stats(thread);
  if (stats) handler_ends(thread, stats);
  if (!thread->running_ns) return;
  if (stats) stats->counters[EPOLL_COUNTER_EMPTY_WAKEUPS]++;
  thread->waking_ns = 0;
  thread->running_ns = 0;
  thread->ready_to_woken_ns = 0;
  thread->drain_started = 0;
}

/* `now`: 0 if nobody has asked. */
static __always_inline void on_switched_in(struct task_struct* task, __u64 now) {
  struct thread* thread = thread_of(task);
  struct epoll_worker_stats* stats;
  struct epoll_instance* instance;
  if (!thread) return;
  if (blame_from_ns) stops_waiting_for_cpu(thread);
  if (!thread->waking_ns || thread->running_ns || !in_detailed_wait(thread)) return;
  thread->running_ns = now ? now : bpf_ktime_get_ns();
  blame_for_delay(thread, thread->waking_ns, thread->running_ns);
  stats = own_stats(thread);
  if (stats) stats->counters[EPOLL_COUNTER_WAKEUPS]++;
  if (drain_is_hooked) return;
  instance = bpf_map_lookup_elem(&instances, &thread->epoll_id);
  if (!instance) return;
  start_drain(thread, instance, instance_depth(thread->epoll_id, instance));
}

#endif
