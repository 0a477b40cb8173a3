#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace epulse::server {

// Objects by number, which stay where they are: in chunks, so that one more costs no more than its
// own bytes.
template <typename T>
class Slab {
 public:
  T* find(std::size_t number) {
    if (number / kChunk >= chunks_.size()) return nullptr;
    std::optional<T>& place = (*chunks_[number / kChunk])[number % kChunk];
    return place ? &*place : nullptr;
  }

  // Takes the place of the one that was there.
  template <typename... Arguments>
  T& emplace(std::size_t number, Arguments&&... arguments) {
    while (number / kChunk >= chunks_.size()) chunks_.push_back(std::make_unique<Chunk>());
    return (*chunks_[number / kChunk])[number % kChunk].emplace(
        std::forward<Arguments>(arguments)...);
  }

  void erase(std::size_t number) {
    if (number / kChunk < chunks_.size()) (*chunks_[number / kChunk])[number % kChunk].reset();
  }

  // `each` may erase.
  template <typename Each>
  void for_each(Each&& each) {
    for (const auto& chunk : chunks_) {
      for (std::optional<T>& place : *chunk) {
        if (place) each(*place);
      }
    }
  }

 private:
  static constexpr std::size_t kChunk = 64;
  using Chunk = std::array<std::optional<T>, kChunk>;

  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace epulse::server
