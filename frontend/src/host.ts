// What the page is shown in. The desktop window injects a runtime; a plain
// browser has none, and the page then asks by itself.
//
// The runtime's events carry no data: "changed" and "activity" are
// doorbells, "show" names a view. What is so is always read from the API.

type Runtime = {
  EventsOn(name: string, heard: (...args: unknown[]) => void): () => void
  ClipboardSetText(text: string): Promise<boolean>
}

const runtime = (window as { runtime?: Runtime }).runtime

/** How often a page without a doorbell asks. */
const POLL = 2000

/** Calls heard when something has changed, and when the user comes back. */
export function onChange(heard: () => void): () => void {
  const back = () => {
    if (document.visibilityState === 'visible') heard()
  }
  window.addEventListener('focus', heard)
  document.addEventListener('visibilitychange', back)
  const off = runtime ? runtime.EventsOn('changed', heard) : poll(back)
  return () => {
    window.removeEventListener('focus', heard)
    document.removeEventListener('visibilitychange', back)
    off()
  }
}

/** Calls heard when there is more activity; a page without a doorbell asks by itself. */
export function onActivity(heard: () => void): () => void {
  return runtime?.EventsOn('activity', heard) ?? (() => {})
}

function poll(ask: () => void): () => void {
  const timer = setInterval(ask, POLL)
  return () => clearInterval(timer)
}

/** Calls heard with the view that the tray or a notification leads to. */
export function onShow(heard: (view: string) => void): () => void {
  return runtime?.EventsOn('show', (view) => heard(String(view))) ?? (() => {})
}

/** Puts text on the clipboard; reports whether that worked. */
export async function copy(text: string): Promise<boolean> {
  try {
    if (runtime) return await runtime.ClipboardSetText(text)
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}

/** Saves a text where the user's downloads go. */
export function save(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000) // a download reads it a little later
}

/** Whether the app around the page opens links; a plain browser does so itself. */
export const inWindow = runtime !== undefined
