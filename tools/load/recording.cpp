#include "tools/load/recording.hpp"

namespace epulse::load {

void MessageSample::add(const RecordedMessage& message) {
  const bool chosen = given_++ % every_ == 0;
  if (!chosen) return;
  if (messages_.size() == capacity_) thin_to(every_ * 2);
  if ((given_ - 1) % every_ == 0) messages_.push_back(message);
}

void MessageSample::thin_to(std::uint64_t every) {
  const std::uint64_t step = every / every_;
  for (std::size_t k = 0; k * step < messages_.size(); ++k) messages_[k] = messages_[k * step];
  messages_.resize((messages_.size() + step - 1) / step);
  every_ = every;
}

}  // namespace epulse::load
