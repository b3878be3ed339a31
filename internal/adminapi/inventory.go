package adminapi

// InventoryPutRequest sets the stock of the sample's items.
type InventoryPutRequest struct {
	Items []StockOrder `json:"items,omitempty"`
	Change
}

// StockOrder is the stock that an item is to have. Available must be given, so
// that a misspelled member does not empty the stock.
type StockOrder struct {
	ID        string `json:"id"`
	Available *int   `json:"available"`
}

// InventoryGetRequest asks for items; for all without ids.
type InventoryGetRequest struct {
	IDs []string `json:"ids,omitempty"`
}

// InventoryAnswer lists items.
type InventoryAnswer struct {
	Items []StockItem `json:"items"`
	// More says that there are others, which only their ids get.
	More bool `json:"more,omitempty"`
}

// StockItem is what is left of an item.
type StockItem struct {
	ID        string `json:"id"`
	Available int    `json:"available"`
}
