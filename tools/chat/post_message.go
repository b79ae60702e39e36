package chat

import "github.com/grantry/grantry/tools"

// PostArguments are the arguments of chat_post_message.
type PostArguments struct {
	Channel string `json:"channel" jsonschema:"Id of the channel (C0123456789), or its name (#general)." schema:"minLength=1,maxLength=100"`
	Text    string `json:"text" jsonschema:"What to say. Slack's formatting (*bold*, _italic_, lists) works; people, groups and channels cannot be mentioned." schema:"minLength=1,maxLength=12000"`
	Thread  string `json:"thread,omitempty" jsonschema:"ts of the message to reply to, such as 1712345678.123456. Leave it out for a message of its own." schema:"maxLength=30,pattern=^[0-9]+\\.[0-9]{6}$"`
}

// Check refuses a text that is too long once it is escaped.
func (a PostArguments) Check() error { return checkSlackText(a.Text) }

// Posted is the result of chat_post_message.
type Posted struct {
	Channel string `json:"channel" jsonschema:"Id of the channel"`
	TS      string `json:"ts" jsonschema:"Id of the message in the channel: give it as thread to reply to it"`
	URL     string `json:"url"`
}

func postMessage() tools.Tool {
	return tools.Define(tools.Write, "chat_post_message", "Post a chat message",
		"Posts a message to a Slack channel in the name of the connected account. Others see it at once.",
		tools.Via(slackNeed(), slackPost),
		tools.Summarize(func(in PostArguments, _ Posted) string { return "to " + in.Channel }),
	)
}
