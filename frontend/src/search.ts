// Finding a provider by what somebody types. Every word has to be found; where
// it is found decides the order.

export type Searchable = { id: string; name: string; category?: string | undefined; ready: boolean; popular?: boolean | undefined; favourite?: boolean | undefined }

/** Lower case, without accents: "Pokémon" is found by "pokemon". */
const plain = (text: string) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()

/** How well a word fits: 0 is best, undefined not at all. */
function fit(word: string, name: string, id: string, category: string): number | undefined {
  if (name === word || id === word) return 0
  if (name.startsWith(word)) return 1
  if (name.split(/[^\p{L}\p{N}]+/u).some((part) => part.startsWith(word))) return 2
  if (id.startsWith(word)) return 3
  if (name.includes(word) || id.includes(word)) return 4
  if (category.startsWith(word)) return 5
  return undefined
}

/** The providers that fit, best first; without a query all: favourites, those ready to connect, popular ones. */
export function search<P extends Searchable>(providers: readonly P[], query: string): P[] {
  const words = plain(query).split(/\s+/).filter(Boolean)
  const found: { provider: P; score: number }[] = []
  for (const provider of providers) {
    const [name, id, category] = [plain(provider.name), plain(provider.id), plain(provider.category ?? '')]
    const fits = words.map((word) => fit(word, name, id, category))
    if (fits.includes(undefined)) continue
    const worst = Math.max(0, ...fits.map((f) => f ?? 0))
    found.push({ provider, score: worst * 8 + (provider.favourite ? 0 : 4) + (provider.ready ? 0 : 2) + (provider.popular ? 0 : 1) })
  }
  found.sort((a, b) => a.score - b.score || a.provider.name.localeCompare(b.provider.name))
  return found.map((f) => f.provider)
}
