// Brand marks, bundled: no request leaves the machine for a picture. A provider
// without one is shown by its initials. Each mark is one path in a square of 24,
// drawn in the colour of the text around it.

let marks: Record<string, { path: string }> = $state.raw({})

/** The marks are there once this is done; until then there are initials. */
export const marksLoaded = import('./marks.all').then((all) => {
  marks = all.default
})

export function markOf(provider: string): string | undefined {
  return Object.hasOwn(marks, provider) ? marks[provider]?.path : undefined
}

/** One or two letters that stand for a name: "Microsoft" M, "Acme Cloud" AC. */
export function initials(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean)
  const letters = words.slice(0, 2).map((word) => [...word][0] ?? '')
  return letters.join('').toUpperCase() || '?'
}
