/* epoll_wait from its call to its return. */
#ifndef EPULSE_BPF_EPOLL_WAITS_H
#define EPULSE_BPF_EPOLL_WAITS_H

#include "epoll/blame.h"
#include "epoll/drains.h"
#include "epoll/stats.h"
#include "epoll/workers.h"

/* Ring-buffer consumers are woken when this much waits, else they come by themselves. */
#define RING_WAKEUP_BYTES (64 * 1024)

/* A thread of the target, the current one, calls epoll_wait. */
static __always_inline void on_wait_begins(int epfd, __u32 max_events) {
  struct thread* thread = new_current_thread();
  __u32 round = *(const volatile __u32*)&detail_round;
  struct epoll_worker_stats* stats;
  struct epoll_instance* instance;
  struct eventpoll* ep;
  __u64 now = 0;
  int depth;
  if (!thread) {
    __sync_fetch_and_add(&workers_dropped, 1);
    return;
  }
  if (thread->exit_ns || round) now = bpf_ktime_get_ns();

  if (thread->exit_ns && now > thread->exit_ns) thread->handler_ns += now - thread->exit_ns;
  thread->exit_ns = 0;

  ep = eventpoll_of_descriptor(epfd);
  thread->in_wait = 0;
  if (!ep) return;
  instance = bpf_map_lookup_elem(&instances, &ep);
  stats = own_stats(thread);
  if (!instance || thread->epoll_id != (__u64)ep || thread->epfd != epfd || !stats) {
    if (stats) handler_ends(thread, stats); /* it was of the other instance */
    if (!follow_instance(thread, (__u64)ep, epfd)) return;
    instance = bpf_map_lookup_elem(&instances, &ep);
    if (!instance) return;
  }
  if (instance->last_tid != thread->tid) {
    if (instance->last_tid) instance->shared = 1;
    instance->last_tid = thread->tid;
  }

  thread->enter_ns = now;
  thread->waking_ns = 0;
  thread->running_ns = 0;
  thread->oldest_ready_ns = 0;
  thread->ready_to_woken_ns = 0;
  thread->listed = 0;
  thread->fresh = 0;
  thread->drain_started = 0;
  thread->left = LEFT_UNKNOWN;
  thread->max_events = max_events;
  thread->detail_round = round;
  thread->in_wait = 1;
  if (!round) return;
  if (instance->detail_round != round) start_round(instance, round, now);
  if (drain_is_hooked) {
    if (eventpoll_is_idle(ep)) forget_readiness(instance, now);
    return;
  }
  depth = instance_depth(thread->epoll_id, instance);
  if (depth)
    start_drain(thread, instance, depth);
  else
    forget_readiness(instance, now);
}

static __always_inline void report_wait(struct thread* thread,
                                        const struct epoll_wait_record* wait) {
  struct epoll_wait_record* record;
  __u32 reasons = 0;
  __u32 zero = 0;
  __u64* dropped;
  if (exception_depth && wait->items[EPOLL_ITEMS_LISTED] > exception_depth)
    reasons |= EPOLL_WAIT_DEEP;
  if (exception_wakeup_ns && wait->stage_ns[EPOLL_STAGE_WOKEN_TO_RUNNING] > exception_wakeup_ns)
    reasons |= EPOLL_WAIT_LATE;
  if (sample_every) {
    if (!thread->until_sample) {
      reasons |= EPOLL_WAIT_SAMPLED;
      thread->until_sample = sample_every;
    }
    thread->until_sample--;
  }
  if (!reasons) return;
  record = bpf_ringbuf_reserve(&waits, sizeof(*record), 0);
  if (!record) {
    dropped = bpf_map_lookup_elem(&waits_dropped, &zero);
    if (dropped) __sync_fetch_and_add(dropped, 1);
    return;
  }
  *record = *wait;
  record->reasons = reasons;
  bpf_ringbuf_submit(record, bpf_ringbuf_query(&waits, BPF_RB_AVAIL_DATA) >= RING_WAKEUP_BYTES
                                 ? BPF_RB_FORCE_WAKEUP
                                 : BPF_RB_NO_WAKEUP);
}

/* How many of the items that a saturated drain put back are waiting. A level-triggered item is
 * listed again once it is delivered, and idle there until a later drain finds it so: for those
 * `put_back` says too much. Count what was waiting instead, as long as that explains the batch and
 * what is seen (only what was signalled is known to wait, and what is delivered may be something
 * else). */
static __always_inline __u32 items_left(const struct thread* thread,
                                        const struct epoll_instance* instance, __u32 put_back,
                                        __u32 batch) {
  __u64 first = eventpoll_first_link((const void*)thread->epoll_id);
  __u32 waiting = (__u32)instance->left + thread->fresh;
  if (KERNEL_READ(struct epitem, epitem_of_link(first), event.events) & EPOLLET ||
      waiting < batch || waiting - batch > put_back ||
      (waiting == batch && instance->oldest_left_ns && instance->oldest_left_ns != OLDEST_UNKNOWN))
    return put_back;
  return waiting - batch;
}

/* What a drain that filled its batch put back. A hook has counted it, else it is what was listed
 * less the batch. */
static __always_inline void note_leftovers(const struct thread* thread,
                                           struct epoll_instance* instance, __u32 listed,
                                           __u32 batch) {
  const struct eventpoll* ep = (const void*)thread->epoll_id;
  __u64 first = eventpoll_first_link(ep);
  __u32 put_back = thread->left == LEFT_UNKNOWN ? listed - batch : (__u32)thread->left;
  if (!put_back || !first || first == eventpoll_ready_head(ep)) {
    instance->left = 0;
    instance->oldest_left_ns = 0;
    return;
  }
  instance->oldest_left_ns = oldest_left_ns(ep, instance, put_back);
  instance->left = items_left(thread, instance, put_back, batch);
}

static __always_inline void measure_delivery(struct thread* thread,
                                             struct epoll_worker_stats* stats, __u32 batch,
                                             __u64 now) {
  struct epoll_instance* instance = bpf_map_lookup_elem(&instances, &thread->epoll_id);
  __u64 woken_to_running, running_to_delivered, ready_to_delivered;
  bool saturated = batch >= thread->max_events;
  __u32 listed;
  if (!instance) return;
  /* The queue filled between our look at it and the kernel's. */
  if (!thread->drain_started || (!thread->fresh && !thread->oldest_ready_ns))
    start_drain(thread, instance, thread->listed);

  /* What was delivered was listed, whatever the walk saw an instant earlier. */
  listed = thread->listed > (__s32)batch ? (__u32)thread->listed : batch;
  /* An item signalled between our look and the kernel's is delivered now, counted next time. */
  if (thread->fresh > listed) thread->fresh = listed;
  /* A drain that was not saturated delivers all that is ready. More signals than deliveries: some
   * item was signalled again before its handler read it, and found idle. Which one is not known, so
   * neither is the age of the oldest that was delivered. */
  if (!saturated && thread->fresh > batch) {
    thread->fresh = batch;
    thread->oldest_ready_ns = 0;
  }
  if (thread->oldest_ready_ns) instance->oldest_drained_ns = thread->oldest_ready_ns;
  if (saturated) {
    note_leftovers(thread, instance, listed, batch);
  } else {
    instance->left = 0;
    instance->oldest_left_ns = 0;
  }
  if (thread->listed == EVENTPOLL_DEPTH_UNSEEN || thread->listed >= EVENTPOLL_WALK_MAX)
    stats->counters[EPOLL_COUNTER_UNSEEN_DEPTH]++;
  if (!thread->oldest_ready_ns) stats->counters[EPOLL_COUNTER_UNTIMED]++;

  record_items(&stats->items[EPOLL_ITEMS_LISTED], listed);
  record_items(&stats->items[EPOLL_ITEMS_FRESH], thread->fresh);
  record_items(&stats->items[EPOLL_ITEMS_LEFT], (__u32)instance->left);

  if (thread->ready_to_woken_ns)
    record_ns(&stats->stages[EPOLL_STAGE_READY_TO_WOKEN], thread->ready_to_woken_ns);
  woken_to_running = record_stage(stats, &stats->stages[EPOLL_STAGE_WOKEN_TO_RUNNING],
                                  thread->running_ns ? thread->waking_ns : 0, thread->running_ns);
  running_to_delivered = record_stage(stats, &stats->stages[EPOLL_STAGE_RUNNING_TO_DELIVERED],
                                      thread->running_ns, now);
  ready_to_delivered = record_stage(stats, &stats->stages[EPOLL_STAGE_READY_TO_DELIVERED],
                                    thread->oldest_ready_ns, now);

  if (!exception_depth && !exception_wakeup_ns && !sample_every) return;
  struct epoll_wait_record wait = {
      .stage_ns = {[EPOLL_STAGE_READY_TO_WOKEN] = thread->ready_to_woken_ns,
                   [EPOLL_STAGE_WOKEN_TO_RUNNING] = woken_to_running,
                   [EPOLL_STAGE_RUNNING_TO_DELIVERED] = running_to_delivered,
                   [EPOLL_STAGE_READY_TO_DELIVERED] = ready_to_delivered,
                   [EPOLL_STAGE_HANDLER] = thread->handler_ns},
      .items = {[EPOLL_ITEMS_LISTED] = listed,
                [EPOLL_ITEMS_FRESH] = thread->fresh,
                [EPOLL_ITEMS_LEFT] = (__u32)instance->left,
                [EPOLL_ITEMS_BATCH] = batch}};
  wait.time_ns = now;
  wait.epoll_id = thread->epoll_id;
  wait.tid = stats->tid;
  wait.epfd = thread->epfd;
  wait.cpu = bpf_get_smp_processor_id();
  report_wait(thread, &wait);
}

/* The current thread, of the target, returns from epoll_wait. */
static __always_inline void on_wait_ends(long result) {
  struct thread* thread = current_thread();
  struct epoll_worker_stats* stats;
  bool detailed;
  __u64 now;
  if (!thread || !thread->in_wait) return;
  detailed = in_detailed_wait(thread);
  thread->in_wait = 0;
  stats = own_stats(thread);
  if (!stats) return;
  stats->counters[EPOLL_COUNTER_WAITS]++;
  stats->max_events = thread->max_events;
  if (result <= 0) {
    stats->counters[result ? EPOLL_COUNTER_ERRORS : EPOLL_COUNTER_TIMEOUTS]++;
    /* A look that did not sleep: the loop has callbacks left of what was delivered before, as
     * asyncio has all but the reading, and libuv what setImmediate() was given. */
    if (!result && detailed && !thread->waking_ns && thread->looks_left > 1) {
      thread->looks_left--;
      thread->exit_ns = bpf_ktime_get_ns();
    } else {
      handler_ends(thread, stats);
    }
    return;
  }
  handler_ends(thread, stats);
  stats->counters[EPOLL_COUNTER_DELIVERIES]++;
  if ((__u32)result >= thread->max_events) stats->counters[EPOLL_COUNTER_SATURATED]++;
  record_items(&stats->items[EPOLL_ITEMS_BATCH], (__u32)result);
  if (!detailed) return;
  now = bpf_ktime_get_ns();
  measure_delivery(thread, stats, (__u32)result, now);
  thread->handler_ns = 0;
  thread->exit_ns = now;
  thread->looks_left = HANDLER_LOOKS_MAX;
}

#endif
