#include "agent/former_terms.hpp"

namespace sshtpm::agent {

namespace {

std::string name_of(const HeldKey& line) {
    return std::string(text_of(line.identity->public_key.blob()));
}

} // namespace

void FormerTerms::gone(const HeldKey& line) {
    auto& memory = keys_[name_of(line)];
    auto& terms = line.certifies() ? memory.certificate : memory.key;
    terms = Terms{.blob = copy_of(line.blob()), .constraints = line.constraints};
}

void FormerTerms::given(const HeldKey& line) {
    const auto found = keys_.find(name_of(line));
    if (found == keys_.end())
        return;
    auto& [key, certificate] = found->second;
    (line.certifies() ? certificate : key).reset();
    if (!key && !certificate)
        keys_.erase(found);
}

void FormerTerms::let_back() {
    for (auto& [name, memory] : keys_)
        for (auto* terms : {&memory.key, &memory.certificate})
            if (*terms)
                (*terms)->away = false;
}

bool FormerTerms::away(const HeldKey& line) const {
    const auto found = keys_.find(name_of(line));
    if (found == keys_.end())
        return false;
    const auto& [key, certificate] = found->second;
    if (key && key->away)
        return true;
    return line.certifies() && certificate && certificate->away && equal(certificate->blob, line.blob());
}

void FormerTerms::apply_to(HeldKey& line) const {
    const auto found = keys_.find(name_of(line));
    if (found == keys_.end())
        return;
    const auto& [key, certificate] = found->second;
    for (const auto* terms : {&key, &certificate}) {
        if (!*terms || (terms == &certificate && !line.certifies()))
            continue;
        line.constraints.confirm = line.constraints.confirm || (*terms)->constraints.confirm;
        if (line.constraints.destinations.empty())
            line.constraints.destinations = (*terms)->constraints.destinations;
    }
}

} // namespace sshtpm::agent
