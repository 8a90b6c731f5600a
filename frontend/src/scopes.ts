// What scopes mean, in the words of the catalogue.

import { provider, type Provider } from './api/client'

/** A sentence for each scope that has one, by its name. */
export const sentences = (p: Provider): Record<string, string> => Object.fromEntries(p.scopes.map((s) => [s.name, s.says ?? '']))

/** The same for a provider that may be gone: then the names have to do. */
export async function sentencesOf(id: string): Promise<Record<string, string>> {
  try {
    return sentences(await provider(id))
  } catch {
    return {}
  }
}
