// Brand marks, bundled: no request leaves the machine for a picture. A provider
// without one is shown by its initials. Each mark is one path in a square of 24,
// drawn in the colour of the text around it.

let marks: Record<string, { path: string }> | undefined = $state.raw()

/** Fetches the marks. They are large, so what the page has to say goes first. */
export async function loadMarks(): Promise<void> {
  marks = (await import('./marks.all')).default
}

/** How a provider is drawn: by a path, or by letters. Until the marks are there, by neither: nothing is shown that will be another. */
export function markOf(provider: string, name: string): { path?: string; letters?: string } {
  if (!marks) return {}
  const path = Object.hasOwn(marks, provider) ? marks[provider]?.path : undefined
  return path ? { path } : { letters: initials(name) }
}

/** One or two letters that stand for a name: "Microsoft" M, "Acme Cloud" AC. */
export function initials(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean)
  const letters = words.slice(0, 2).map((word) => [...word][0] ?? '')
  return letters.join('').toUpperCase() || '?'
}
