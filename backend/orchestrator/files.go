package orchestrator

import (
	"reflect"

	"keyturn/backend/fault"
	"keyturn/backend/provider"
)

// FileProviders makes the providers that are described by files of the user's
// what all says: new ones are added, changed ones changed, others forgotten. It
// returns why one was refused, by id. A provider whose file is gone stays while
// connections or apps use it: their grants have to be revocable.
func (o *Orchestrator) FileProviders(all []provider.Provider) (refused map[string]error) {
	refused = map[string]error{}
	there := map[string]bool{}
	for _, p := range all {
		p.Custom = true
		there[p.ID] = true
		known, ok := o.catalogue.Lookup(p.ID)
		switch {
		case ok && known.Custom && !o.isFromFile(p.ID):
			refused[p.ID] = fault.New(fault.Conflict, "There is a provider %s already, which was registered. Delete that one first: keyturn providers delete %s", p.ID, p.ID)
			continue
		case ok && reflect.DeepEqual(known, p):
			continue
		}
		if err := o.catalogue.Put(p); err != nil {
			refused[p.ID] = err
			continue
		}
		o.mu.Lock()
		o.fromFiles[p.ID] = true
		o.ringLocked()
		o.mu.Unlock()
		o.moved(p)
	}
	for _, id := range o.filesOf() {
		if connections, apps := o.dependants(id); there[id] || len(connections)+len(apps) > 0 {
			continue
		}
		if o.catalogue.Delete(id) == nil {
			o.mu.Lock()
			delete(o.fromFiles, id)
			o.ringLocked()
			o.mu.Unlock()
		}
	}
	return refused
}

func (o *Orchestrator) isFromFile(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fromFiles[id]
}

// filesOf lists the ids of the providers that come from files.
func (o *Orchestrator) filesOf() (ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.fromFiles {
		ids = append(ids, id)
	}
	return ids
}

// errFromFile refuses a change that the file would undo.
func errFromFile(p provider.Provider) error {
	return fault.New(fault.Conflict, "%s is described by a file in the folder of providers. Change or remove %s.yaml there.", p.Name, p.ID)
}
